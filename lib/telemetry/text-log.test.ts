import { expect, it } from 'vitest';
import { safeJson } from '../text/unsafe-text.ts';
import { textLine } from './text-log.ts';

const line = (facts: object) => textLine(JSON.stringify({ level: 40, time: 0, component: 'relay', ...facts }));
const head = /^\d\d:\d\d:\d\d warn {2}relay: /;

it('shows time, level, component, message and facts on one line', () => {
  const text = line({ msg: 'a link is lost', node: 'eu-1', roundTripMs: 12.5, why: 'no answer', path: ['a', 'b'] });
  expect(text).toMatch(head);
  expect(text.replace(head, '')).toBe('a link is lost  node=eu-1  roundTripMs=12.5  why="no answer"  path=["a","b"]\n');
});

it('shows an error as its code and message', () => {
  const err = { type: 'Error', message: 'no file', code: 'ENOENT', stack: 'Error: no file\n    at x' };
  expect(line({ msg: 'failed', err }).replace(head, '')).toBe('failed  err="ENOENT: no file"\n');
});

it('escapes what a terminal would obey', () => {
  const evil = '\u001b[2J\u202e\n"x';
  const text = line({ msg: evil, [evil]: evil });
  expect(safeJson(text.slice(0, -1))).toBe(text.slice(0, -1));
});
