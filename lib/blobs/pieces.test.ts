import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { piecesOf } from './pieces.ts';

const KIB = 1024;
const chunk = (kib: number): Buffer => Buffer.alloc(kib * KIB, 7);

describe('the pieces of a stream', () => {
  it('are its bytes, joined', async () => {
    const stream = new PassThrough({ highWaterMark: 4096 * KIB });
    for (let i = 0; i < 100; i += 1) stream.write(Buffer.alloc(16 * KIB, i));
    stream.end();
    const pieces: Buffer[] = [];
    for await (const piece of piecesOf(stream)) pieces.push(piece);
    expect(pieces.length).toBeLessThan(10);
    const all = Buffer.concat(pieces);
    expect(all.length).toBe(1600 * KIB);
    for (let i = 0; i < 100; i += 1) expect(all[i * 16 * KIB]).toBe(i);
  });

  it('come although there is little, and the stream goes on', async () => {
    const stream = new PassThrough();
    stream.write('a');
    const pieces = piecesOf(stream);
    expect((await pieces.next()).value).toEqual(Buffer.from('a'));
    stream.end('b');
    expect((await pieces.next()).value).toEqual(Buffer.from('b'));
    expect((await pieces.next()).done).toBe(true);
  });

  it('have what came before an error', async () => {
    const stream = new PassThrough();
    const pieces = piecesOf(stream);
    const first = pieces.next();
    stream.write('abc', () => setImmediate(() => stream.destroy(new Error('cut'))));
    expect((await first).value).toEqual(Buffer.from('abc'));
    await expect(pieces.next()).rejects.toThrow('cut');
  });

  it('keep no more than a few in memory when nobody takes them', async () => {
    const stream = new PassThrough({ highWaterMark: 16 * KIB });
    const pieces = piecesOf(stream);
    const first = pieces.next();
    let taken = 0;
    const fill = (): void => {
      while (taken < 4096 && stream.write(chunk(16))) taken += 16;
    };
    stream.on('drain', fill);
    fill();
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBeLessThan(2048);
    await pieces.return(undefined);
    stream.destroy();
  });
});
