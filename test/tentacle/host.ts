// A process that runs a script engine and nothing else, so that a test can kill it. Orders come in on standard input,
// one JSON object per line; answers go out likewise.
import { createInterface } from 'node:readline';
import type { ScriptOrder } from '../../tentacle/scripts/engine.ts';
import { openEngine, type TestEngineOptions } from './support.ts';
import '../support/keep-compiled.ts';

export interface HostRequest {
  readonly id: number;
  readonly method: 'start' | 'status' | 'cancel' | 'complete' | 'lines';
  readonly order: ScriptOrder;
}

const [dataDir, options = '{}'] = process.argv.slice(2);
const { engine } = await openEngine(dataDir!, JSON.parse(options) as TestEngineOptions);

async function answer({ method, order }: HostRequest): Promise<unknown> {
  if (method !== 'lines') return engine[method](order);
  const spool = (await engine.log(order)).spool();
  return spool.read(0, 16 * 1024 * 1024);
}

for await (const text of createInterface({ input: process.stdin })) {
  const request = JSON.parse(text) as HostRequest;
  void answer(request)
    .then((result) => ({ id: request.id, result }))
    .catch((error: unknown) => ({ id: request.id, error: errorOf(error) }))
    .then((message) => process.stdout.write(`${JSON.stringify(message)}\n`));
}
process.exit(0);

function errorOf(error: unknown): { code: string; message: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  return { code, message: error instanceof Error ? error.message : String(error) };
}
