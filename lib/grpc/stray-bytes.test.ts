// Which bytes of a connection are a flood.
import { beforeEach, expect, it } from 'vitest';
import { StrayBytes } from './stray-bytes.ts';

const kib = 1024;
let readBytes: number;
let nowMs: number;
let stray: StrayBytes;
beforeEach(() => {
  readBytes = 1_000_000;
  nowMs = 5;
  stray = new StrayBytes(
    () => readBytes,
    1024 * kib,
    () => nowMs,
  );
});

it('counts none that belong to calls', () => {
  for (let i = 0; i < 100; i += 1) {
    readBytes += 1024 * kib;
    stray.belong(1024 * kib);
    expect(stray.exceeded()).toBe(false);
  }
});

it('lets a window come in for calls that have ended, once', () => {
  readBytes += 1024 * kib;
  expect(stray.exceeded()).toBe(false);
  readBytes += 65 * kib;
  expect(stray.exceeded()).toBe(true);
});

it('lets a little come in all the time', () => {
  for (let i = 0; i < 1_000; i += 1) {
    readBytes += 60 * kib;
    nowMs += 1_000;
    expect(stray.exceeded()).toBe(false);
  }
});

it('saves up no more than it allows at once', () => {
  stray.belong(100 * 1024 * kib);
  nowMs += 3_600_000;
  expect(stray.exceeded()).toBe(false);
  readBytes += 2 * (1024 + 64) * kib;
  expect(stray.exceeded()).toBe(false);
  readBytes += 1;
  expect(stray.exceeded()).toBe(true);
});
