// The journal of the change of a version: what is written is read, and nothing else is believed.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { tempDir } from '../../test/support/temp.ts';
import { hostLayout, type HostLayout } from '../layout.ts';
import { readJournal, writeJournal, type Change } from './journal.ts';

const CHANGE: Change = {
  phase: 'awaiting-confirmation',
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  why: 'upgrade',
  role: 'relay',
  from: '1.0.0',
  to: '1.1.0',
  confirmWithinS: 120,
  at: 1_767_225_600_000,
  services: [{ role: 'relay', connected: true }],
  resumed: 0,
};

let layout: HostLayout;

beforeEach(async () => {
  layout = hostLayout(await tempDir());
  mkdirSync(layout.versions, { recursive: true });
});

test('what is written is read back, by everybody', () => {
  writeJournal(layout, CHANGE);
  expect(readJournal(layout)).toEqual(CHANGE);
  expect(statSync(layout.journal).mode & 0o777).toBe(0o644);
});

test('a host without one has none', () => {
  expect(readJournal(layout)).toBeUndefined();
});

test.each(['', '{', '[]', JSON.stringify({ ...CHANGE, phase: 'asleep' }), JSON.stringify({ ...CHANGE, to: 1 })])(
  '%j is none',
  (content) => {
    writeFileSync(layout.journal, content);
    expect(readJournal(layout)).toBeUndefined();
  },
);
