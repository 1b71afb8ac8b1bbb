// Starts a script on a tentacle and reads no log: RunScript up to the answer to the start.
import { IsthmusError } from '../../contract/errors.ts';
import type { GrpcClient } from '../../lib/grpc/client.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { LogBatch__Output } from '../../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import type { ScriptStatus__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleClient } from '../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';

/** Resolves with the state after the start; rejects with the code of the answer, or UNREACHABLE. */
export async function startScript(
  client: GrpcClient<TentacleClient>,
  envelope: Envelope,
): Promise<ScriptStatus__Output> {
  const call = (await client.ready()).runScript();
  call.on('error', () => undefined);
  const limit = setTimeout(() => call.cancel(), 10_000);
  try {
    call.write({ start: envelope });
    for await (const { started } of call as AsyncIterable<LogBatch__Output>) if (started) return started;
    throw new IsthmusError('UNREACHABLE', 'the stream ended before the start was answered');
  } catch (thrown) {
    throw thrown instanceof IsthmusError ? thrown : client.errorOf(thrown);
  } finally {
    clearTimeout(limit);
    call.cancel();
  }
}
