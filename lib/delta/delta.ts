// Encodes and decodes deltas between two versions of a package, in a worker thread whose memory is gone when it ends.
//   codec.ts     what the worker does           bounds.ts       what it may cost
//   content.ts   what a delta is made of        gzip-recipe.ts  the same gzip again from what is inside
import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Mutex } from '../async/mutex.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { programPath } from '../software.ts';
import type { DeltaJob } from './codec.ts';

/** What the worker says. It goes on after each chunk when it gets any message. */
export type WorkerMessage =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

const PROGRAM = programPath('lib/delta/worker-thread');
/** For its code; contents lie outside. */
const HEAP_MB = 64;

/** One job of each kind at a time: each takes the memory of both versions. */
const ONE_OF_A_KIND = new Mutex();

/**
 * Does a job of codec.ts and hands its bytes to `write`, in order, one chunk after the other. Throws what codec.ts
 * throws, and the reason of the signal.
 */
export function runDelta(
  job: DeltaJob,
  write: (chunk: Buffer) => Promise<void> | void,
  signal: AbortSignal,
): Promise<void> {
  return ONE_OF_A_KIND.run(() => runInWorker(job, write, signal), job.kind);
}

async function runInWorker(
  job: DeltaJob,
  write: (chunk: Buffer) => Promise<void> | void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const worker = new Worker(PROGRAM, { workerData: job, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
  try {
    for await (const [message] of on(worker, 'message', { signal, close: ['exit'] }) as AsyncIterable<
      [WorkerMessage]
    >) {
      if (message.kind === 'end') return;
      if (message.kind === 'failed') throw new IsthmusError(message.code, message.message);
      await write(Buffer.from(message.bytes.buffer));
      worker.postMessage('next');
    }
    throw new IsthmusError('INTERNAL', 'the worker of a delta ended early');
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  } finally {
    await worker.terminate();
  }
}
