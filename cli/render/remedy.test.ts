// Errors say what to do without a command; the command line names the command.
import { expect, it } from 'vitest';
import { ERROR_CATALOGUE, type ErrorCode, type RemedyAction } from '../../contract/errors.ts';
import { remedyText } from './remedy.ts';

const remedy = 'As it was sent.';

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
  [
    { code: 'CHOOSE_OR_CREATE_RELEASE', arguments: { project: 'web', version: '1.0 x' } },
    "`isthmus release list web` shows which exist; `isthmus release create web '1.0 x'` creates it.",
  ],
  [
    { code: 'CHOOSE_PACKAGE_VERSION', arguments: { package: 'Shop.Web' } },
    '`isthmus package list Shop.Web` shows which exist.',
  ],
  [
    { code: 'PUSH_PACKAGE', arguments: { package: 'Shop.Web' } },
    '`isthmus package push FILE Shop.Web VERSION` pushes one.',
  ],
  [{ code: 'REVOKE_NODE', arguments: { node: 'eu' } }, 'As it was sent. `isthmus node revoke eu` revokes it.'],
  [
    { code: 'SET_ENVIRONMENTS', arguments: { machine: 'web-1' } },
    '`isthmus machine set web-1 --environment NAME` changes that.',
  ],
  [{ code: 'SET_PROCESS', arguments: { project: 'web' } }, '`isthmus project set-process web FILE` gives it steps.'],
  [{ code: 'OF_A_NEWER_SERVER', arguments: { kind: 'x' } } as unknown as RemedyAction, 'As it was sent.'],
])('words %j', (action, text) => {
  expect(remedyText({ code: 'INVALID_FIELD', action, remedy })).toBe(text);
});

it.each<[ErrorCode, string]>([
  ['IDENTITY_MISSING', 'Join the node first. `isthmus join` joins it.'],
  ['TOKEN_EXPIRED', 'Create a new token. `isthmus token create` creates one.'],
  ['NOT_FOUND', ERROR_CATALOGUE.NOT_FOUND.remedy],
])("adds the command to the catalogue's remedy of %s", (code, text) => {
  expect(remedyText({ code, action: undefined, remedy: ERROR_CATALOGUE[code].remedy })).toBe(text);
  expect(remedyText({ code, action: undefined, remedy })).toBe(remedy);
});
