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
  [{ code: 'CANCEL_TASK', arguments: { task: '01j' } }, 'As it was sent. `isthmus task cancel 01j` cancels it.'],
  [
    { code: 'DELETE_RELEASE', arguments: { project: 'web', version: '1.0' } },
    'As it was sent. `isthmus release delete web 1.0` deletes it.',
  ],
  [
    { code: 'DELETE_VARIABLE', arguments: { project: 'web', variable: '01j' } },
    'As it was sent. `isthmus project variables delete web 01j` deletes it.',
  ],
  [
    { code: 'DEPLOY_OTHER', arguments: { project: 'web', environment: 'prod' } },
    'As it was sent. `isthmus deploy web VERSION --to prod` deploys one.',
  ],
  [{ code: 'REVOKE_TOKEN', arguments: { token: '01j' } }, 'As it was sent. `isthmus token revoke 01j` revokes it.'],
  [{ code: 'CHOOSE_RELAY', arguments: {} }, 'As it was sent. `isthmus node list` shows them.'],
  [{ code: 'GIVE_ADDRESS', arguments: { node: 'eu' } }, 'Add `--address HOST:PORT` with the address of eu.'],
  [
    {
      code: 'REJOIN_NODE',
      arguments: { node: 'a', role: 'tentacle', site: 'eu', parents: 'eu-a,eu-b=10.0.0.7:8444', address: '' },
    },
    'As it was sent. `isthmus token create --role tentacle --site eu --name a --parent eu-a --parent eu-b=10.0.0.7:8444` creates the token for that.',
  ],
  [
    {
      code: 'REJOIN_NODE',
      arguments: { node: 'r7', role: 'relay', site: 'eu', parents: 'server', address: 'r7.internal:9555' },
    },
    'As it was sent. `isthmus token create --role relay --site eu --name r7 --parent server --address r7.internal:9555` creates the token for that.',
  ],
  [{ code: 'REVOKE_NODE', arguments: { node: 'eu' } }, 'As it was sent. `isthmus node revoke eu` revokes it.'],
  [
    { code: 'SET_ENVIRONMENTS', arguments: { machines: 'web-1' } },
    '`isthmus machine set web-1 --environment NAME` changes that.',
  ],
  [
    { code: 'SET_ENVIRONMENTS', arguments: { machines: 'web-1,web-2' } },
    '`isthmus machine set ID --environment NAME` changes that for each.',
  ],
  [
    { code: 'CHOOSE_EXISTING', arguments: { kind: 'release' } },
    'Check the spelling; `isthmus release list PROJECT` shows which exist.',
  ],
  [
    { code: 'CHOOSE_VARIABLE', arguments: { project: 'web' } },
    '`isthmus project variables list web` shows which exist.',
  ],
  [
    { code: 'SET_VARIABLE', arguments: { project: 'web', variable: 'Port' } },
    'As it was sent. `isthmus project variables set web Port VALUE` sets it, `isthmus release create web VERSION` releases it.',
  ],
  [
    { code: 'SHOW_EXISTING', arguments: { kind: 'project', id: 'web' } },
    'As it was sent. `isthmus project show web` shows it.',
  ],
  [{ code: 'SHOW_EXISTING', arguments: { kind: 'site', id: 'eu' } }, 'As it was sent. `isthmus site list` shows it.'],
  [
    { code: 'SHOW_RELEASE', arguments: { project: 'web', version: '1.0' } },
    'As it was sent. `isthmus release show web 1.0` shows it.',
  ],
  [{ code: 'SET_PROCESS', arguments: { project: 'web' } }, '`isthmus project set-process web FILE` gives it steps.'],
])('words %j', (action, text) => {
  expect(remedyText({ code: 'INVALID_FIELD', action, remedy })).toBe(text);
});

it('quotes every argument of a command', () => {
  const hostile = 'x; rm -rf /';
  const actions: RemedyAction[] = [
    { code: 'CHOOSE_OR_CREATE', arguments: { kind: 'site', id: hostile } },
    { code: 'CHOOSE_OR_CREATE_RELEASE', arguments: { project: hostile, version: hostile } },
    { code: 'CHOOSE_PACKAGE_VERSION', arguments: { package: hostile } },
    { code: 'PUSH_PACKAGE', arguments: { package: hostile } },
    { code: 'REVOKE_NODE', arguments: { node: hostile } },
    { code: 'SET_ENVIRONMENTS', arguments: { machines: hostile } },
    { code: 'SET_PROCESS', arguments: { project: hostile } },
  ];
  for (const action of actions) {
    const text = remedyText({ code: 'INVALID_FIELD', action, remedy });
    expect(text).toContain(`'${hostile}'`);
    expect(text.replaceAll(`'${hostile}'`, '')).not.toContain('rm');
  }
});

it.each<[ErrorCode, string]>([
  ['CONFIRMATION_NEEDED', 'Add `--yes` to confirm it beforehand when there is no terminal to confirm at.'],
  ['USAGE', '`isthmus --help` shows how it is used.'],
  ['UNREACHABLE', `${ERROR_CATALOGUE.UNREACHABLE.remedy} \`isthmus mesh trace NODE\` traces them.`],
  ['IDENTITY_MISSING', 'Join the node first. `isthmus join` joins it.'],
  ['TOKEN_EXPIRED', 'Create a new token. `isthmus token create` creates one.'],
  ['NOT_FOUND', ERROR_CATALOGUE.NOT_FOUND.remedy],
])("says the command with the catalogue's remedy of %s", (code, text) => {
  expect(remedyText({ code, action: undefined, remedy: ERROR_CATALOGUE[code].remedy })).toBe(text);
  expect(remedyText({ code, action: undefined, remedy })).toBe(remedy);
});

it('names the command that failed, and the node at which it failed', () => {
  const usage = { code: 'USAGE', action: undefined, remedy: ERROR_CATALOGUE.USAGE.remedy } as const;
  expect(remedyText(usage, 'isthmus token create')).toBe('`isthmus token create --help` shows how it is used.');
  const unreachable = { code: 'UNREACHABLE', action: undefined, remedy: ERROR_CATALOGUE.UNREACHABLE.remedy } as const;
  expect(remedyText({ ...unreachable, hop: 'eu-1' })).toContain('`isthmus mesh trace eu-1`');
});
