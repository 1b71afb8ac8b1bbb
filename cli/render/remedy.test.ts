// The server sends what to do as an action; the command line names the command.
import { expect, it } from 'vitest';
import type { RemedyAction } from '../../contract/errors.ts';
import { remedyText } from './remedy.ts';

it.each<[RemedyAction | undefined, string]>([
  [undefined, 'As it was sent.'],
  [
    { code: 'CHOOSE_EXISTING', arguments: { kind: 'machine' } },
    'Check the spelling; `isthmus machine list` shows which exist.',
  ],
  [
    { code: 'CHOOSE_OR_CREATE', arguments: { kind: 'site', id: 'eu' } },
    '`isthmus site list` shows which exist; `isthmus site create eu` creates it.',
  ],
  [{ code: 'OF_A_NEWER_SERVER', arguments: { kind: 'x' } } as unknown as RemedyAction, 'As it was sent.'],
])('words %j', (action, text) => {
  expect(remedyText({ action, remedy: 'As it was sent.' })).toBe(text);
});
