// A ping whose tunnel ends before the answer.
import { duplexPair } from 'node:stream';
import { expect, it } from 'vitest';
import { ping } from './echo.ts';
import type { MeshStream } from './types.ts';

it.each([
  ['is reset', new Error('read ECONNRESET')],
  ['goes without a word', undefined],
])('is answered UNREACHABLE when the tunnel %s', async (_, error) => {
  const [stream] = duplexPair();
  const dial = (): Promise<MeshStream> => {
    setImmediate(() => stream.destroy(error));
    return Promise.resolve(stream as MeshStream);
  };
  await expect(ping({ dial }, { node: 'web-1', deadlineMs: 5_000 })).rejects.toMatchObject({
    code: 'UNREACHABLE',
    hop: 'web-1',
  });
});
