// What a tunnel writes while the link has no room for its frames goes out merged.
import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { ControlStream, type TunnelCall } from './control.ts';

it('merges small writes that wait for the link', () => {
  const frames: string[] = [];
  const call = new Duplex({
    objectMode: true,
    read: () => undefined,
    write: ({ data }: { readonly data: Buffer }, _encoding, done) => {
      frames.push(data.toString());
      done();
    },
  });
  call.on('error', () => undefined);
  const waiting: (() => void)[] = [];
  const stream = new ControlStream({ side: 'server', stream: call } as unknown as TunnelCall, {
    whenFree: (send) => waiting.push(send),
    closed: () => undefined,
    abandoned: () => undefined,
  });
  for (const letter of 'abcdef') stream.write(letter);
  expect(frames).toEqual([]);
  while (waiting.length > 0) waiting.shift()!();
  expect(frames).toEqual(['a', 'bcdef']);
  stream.destroy();
});
