// When a connection counts as lost because nothing comes in.
import { beforeEach, expect, it } from 'vitest';
import { Silence } from './silence.ts';

const tickMs = 250;
let read: number;
let written: number;
let silence: Silence;
beforeEach(() => {
  read = 1_000;
  written = 1_000;
  silence = new Silence({ bytesRead: () => read, bytesWritten: () => written }, tickMs);
});

/** What each tick says over a time. */
const over = (ms: number, awaits = true) => Array.from({ length: ms / tickMs }, () => silence.tick(awaits));

it('asks twice, then gives up after 10 s', () => {
  const said = over(10_000);
  expect(said.filter((each) => each === 'ask')).toHaveLength(2);
  expect(said.indexOf('lost')).toBe(said.length - 1);
});

it('begins again with every byte', () => {
  for (let i = 0; i < 10; i += 1) {
    expect(over(9_000)).not.toContain('lost');
    read += 1;
    expect(silence.tick(true)).toBe('heard');
  }
});

it('waits as long as nobody has to send anything', () => {
  expect(new Set(over(60_000, false))).toEqual(new Set(['heard']));
  expect(over(9_000)).not.toContain('lost');
});

it('lets what was written arrive first, at 16 KB a second', () => {
  written += 320_000;
  expect(over(29_750)).not.toContain('lost');
  expect(silence.tick(true)).toBe('lost');
});
