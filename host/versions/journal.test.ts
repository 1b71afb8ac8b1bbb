// The journal of the change of a version: what is written is read, and nothing else is taken for none.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import type { JoinRole } from '../../contract/join-tokens.ts';
import { tempDir } from '../../test/support/temp.ts';
import { hostLayout, type HostLayout } from '../layout.ts';
import { keptOf, readJournal, upgradeOf, writeJournal, type Change, type ChangeIn } from './journal.ts';
import { showHost } from './show.ts';

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
  copies: {},
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

describe('a file that tells of no change', () => {
  test.each(['', '{', '[]', JSON.stringify({ ...CHANGE, phase: 'asleep' }), JSON.stringify({ ...CHANGE, to: 1 })])(
    '%j: is unreadable, which is not the same as none',
    async (content) => {
      writeFileSync(layout.journal, content);
      const message: unknown = expect.stringContaining(layout.journal);
      const unreadable: unknown = expect.objectContaining({ code: 'UPGRADE_JOURNAL_UNREADABLE', message });
      expect(() => readJournal(layout)).toThrow(unreadable);
      expect(await showHost(layout)).toMatchObject({ lastChange: null, journalError: unreadable });
    },
  );

  test('is a folder', () => {
    mkdirSync(layout.journal);
    expect(() => readJournal(layout)).toThrow(expect.objectContaining({ code: 'UPGRADE_JOURNAL_UNREADABLE' }));
  });
});

test('the last upgrade of each node stays known, whatever changes come after it', () => {
  const write = (change: Omit<ChangeIn<'confirmed'>, 'at' | 'from' | 'confirmWithinS'>): void => {
    const kept = keptOf(readJournal(layout));
    writeJournal(layout, { at: 1, from: '1.0.0', confirmWithinS: 120, ...change, ...kept });
  };
  const upgrade = { phase: 'confirmed', why: 'upgrade', to: '1.1.0' } as const;
  write({ ...upgrade, id: 'a', role: 'relay' });
  write({ ...upgrade, id: 'b', role: 'mirror' });
  write({ ...upgrade, id: 'c', why: 'install' });
  write({ ...upgrade, id: 'd', role: 'mirror' });
  write({ ...upgrade, id: 'e', why: 'go-back' });
  const known = (role: JoinRole): string[] => ['a', 'b', 'c', 'd'].filter((id) => upgradeOf(layout, role, id));
  expect(known('relay')).toEqual(['a']);
  expect(known('mirror')).toEqual(['d']);
  expect(known('tentacle')).toEqual([]);
  expect(upgradeOf(layout, 'relay', 'a')).toMatchObject({ phase: 'confirmed', to: '1.1.0' });
});
