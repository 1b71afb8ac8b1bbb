// An action that came from another process counts only when it is whole.
import { expect, it } from 'vitest';
import { receivedAction } from '../../contract/errors.ts';

it.each<[string, unknown]>([
  ['one argument', { code: 'REVOKE_NODE', arguments: { node: 'eu' } }],
  ['hostile text, which whoever shows it quotes', { code: 'REVOKE_NODE', arguments: { node: 'x; rm -rf /' } }],
  ['several arguments', { code: 'CHOOSE_OR_CREATE', arguments: { id: 'eu', kind: 'site' } }],
  ['no arguments', { code: 'CHOOSE_RELAY', arguments: {} }],
])('takes %s', (_what, sent) => {
  expect(receivedAction(sent)).toEqual(sent);
});

it.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['a text', 'REVOKE_NODE'],
  ['an array', ['REVOKE_NODE', { node: 'eu' }]],
  ['an argument missing', { code: 'REVOKE_NODE', arguments: {} }],
  ['one of two arguments missing', { code: 'CHOOSE_OR_CREATE', arguments: { kind: 'site' } }],
  ['another argument', { code: 'REVOKE_NODE', arguments: { machine: 'eu' } }],
  ['an argument too many', { code: 'REVOKE_NODE', arguments: { node: 'eu', kind: 'node' } }],
  ['an argument that is no string', { code: 'REVOKE_NODE', arguments: { node: 5 } }],
  ['a kind that cannot be listed', { code: 'CHOOSE_EXISTING', arguments: { kind: 'x; rm -rf /' } }],
  ['arguments as an array', { code: 'REVOKE_NODE', arguments: ['eu'] }],
  ['no arguments as an array', { code: 'CHOOSE_RELAY', arguments: [] }],
  ['no arguments at all', { code: 'CHOOSE_RELAY' }],
  ['a code that is no string', { code: 5, arguments: {} }],
  ['a code in an array', { code: ['CHOOSE_RELAY'], arguments: {} }],
  ['a code of a newer version', { code: 'OF_A_NEWER_SERVER', arguments: { kind: 'site' } }],
  ['a code that every object has', { code: 'constructor', arguments: {} }],
])('takes no action with %s', (_what, sent) => {
  expect(receivedAction(sent)).toBeUndefined();
});
