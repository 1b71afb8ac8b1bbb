// Reads single messages from a gRPC stream before it is handed to its reader.
import type { EventEmitter } from 'node:events';
import { IsthmusError } from '../../contract/errors.ts';
import { fromServiceError } from '../../lib/grpc/errors.ts';

/** The part of a gRPC bidi call that both sides share with any stream. */
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
    // Deferred: grpc-js ends the stream before it emits the status, which has the reason.
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
