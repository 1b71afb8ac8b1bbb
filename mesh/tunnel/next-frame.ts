// Reads single messages off a gRPC stream, before it is handed to the one reader of all the rest.
import type { EventEmitter } from 'node:events';
import { IsthmusError } from '../../lib/errors.ts';
import { fromServiceError } from '../../lib/grpc/errors.ts';

/** What both ends of a gRPC bidi call have in common with any stream, and all that is needed of it here. */
export type FrameSource = Pick<EventEmitter, 'on' | 'off'> & { pause(): unknown; resume(): unknown };

/** The next message; the stream is paused after it. `peer` names the hop in errors. */
export function nextFrame<T>(stream: FrameSource, signal: AbortSignal, peer: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      for (const [event, listener] of listeners) stream.off(event, listener);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: IsthmusError) => {
      stop();
      reject(error);
    };
    const onData = (frame: T) => {
      stop();
      stream.pause();
      resolve(frame);
    };
    const onError = (error: unknown) => fail(fromServiceError(error, peer));
    // Deferred: grpc-js ends the stream before it tells the status, and the status says why.
    const onEnd = () =>
      setImmediate(() => fail(new IsthmusError('UNREACHABLE', `${peer} ended the call`, { hop: peer })));
    const listeners = [
      ['error', onError],
      ['end', onEnd],
      ['close', onEnd],
      ['cancelled', onEnd],
      ['data', onData],
    ] as const;
    const onAbort = () => fail(IsthmusError.from(signal.reason, 'CANCELLED', { hop: peer }));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    for (const [event, listener] of listeners) stream.on(event, listener);
    stream.resume();
  });
}
