// A worker thread that does one job of codec.ts, and gives out its bytes one chunk at a time, each when asked for it.
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { IsthmusError } from '../../contract/errors.ts';
import { runCodec, type DeltaJob } from './codec.ts';
import type { WorkerMessage } from './delta.ts';

const PORT = parentPort!;

giveOut(workerData as DeltaJob).then(
  () => post({ kind: 'end' }),
  (thrown: unknown) => {
    const { code, message } = IsthmusError.from(thrown);
    post({ kind: 'failed', code, message });
  },
);

async function giveOut(job: DeltaJob): Promise<void> {
  for await (const chunk of runCodec(job)) {
    const bytes = new Uint8Array(chunk);
    post({ kind: 'bytes', bytes }, [bytes.buffer]);
    await once(PORT, 'message');
  }
}

function post(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  PORT.postMessage(message, transfer);
}
