// Errors that the command line reports before it does anything: typos, missing arguments, a folder without a node.
import { expect, it } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import { isthmus } from '../test/support/terminal.ts';

const JOIN = ['--address', 'a:1', '--pin', 'b', '--token-file', 'c'];

it.each([[['project', 'set-variables', '--help']], [['project', 'set-variables']]])('rejects %j', async (argv) => {
  const { code, out, err } = await isthmus(argv);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain("isthmus: unknown command 'set-variables'; did you mean variables? (USAGE)\n  what to do: ");
});

it.each([
  ['a route with a hole in it', ['machine', 'set-route', 'eu-1', 'eu,,x'], /'eu,,x' is invalid .*Give `direct`/],
  [
    'a token\u2019s route with a hole in it',
    ['token', 'create', '--role', 'relay', '--site', 'eu', '--route', ','],
    /relays in order/,
  ],
  [
    'nothing to change of a machine',
    ['machine', 'set', 'eu-1'],
    /nothing to change: give --name, --environment or --target-role/,
  ],
  ['nothing to change of a site', ['site', 'set', 'eu'], /nothing to change: give --name or --description/],
  ['a state no task has', ['task', 'list', '--state', 'done'], /choices are queued, running, cancelling, succeeded/],
  ['a version as an option', ['release', 'create', 'web', '--version', '1.2.0'], /takes it as an argument/],
  [
    'a command of a group, without the group',
    ['stauts'],
    /unknown command 'stauts'; did you mean mirror status, mesh status or service status\?/,
  ],
  ['a word of many groups', ['create'], /unknown command 'create' \(USAGE\)/],
  ['a join without a folder', ['join', ...JOIN], /give the data folder \(--data\), or --service with --role/],
  ['a service without a role', ['join', ...JOIN, '--service'], /a service is that of a role: add --role/],
  ['a service with a folder', ['join', ...JOIN, '--service', '--data', 'x'], /leave out --data/],
  ['scripts of a relay', ['service', 'install', '--role', 'relay', '--script-user', 'x'], /a relay runs no scripts/],
  ['a misspelt option', ['mesh', 'ping', 'eu-1', '--coun', '2'], /unknown option '--coun'; did you mean --count\?/],
])('%s: exit 2, the code and what to do', async (_name, argv, said) => {
  const { code, out, err } = await isthmus(argv);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(said);
  expect(err).toMatch(/ \(USAGE\)\n {2}what to do: /);
});

it('still shows the help of a group and of its commands', async () => {
  for (const argv of [
    ['project', '--help'],
    ['help', 'project'],
    ['project', 'variables', '--help'],
  ]) {
    const { code, out } = await isthmus(argv);
    expect({ argv, code }).toEqual({ argv, code: 0 });
    expect(out).toContain('Usage: isthmus project');
  }
});

it.each([
  ['relay', 'no node has joined in'],
  ['mirror', 'no node has joined in'],
  ['tentacle', 'no node has joined in'],
  ['server', 'no server has been initialised in'],
])('says what comes before `%s start`', async (component, said) => {
  const folder = await tempDir();
  const { code, err } = await isthmus([component, 'start', '--data', folder]);
  expect(code).toBe(9);
  expect(err).toContain(`${said} ${folder} (`);
  const remedy = component === 'server' ? 'isthmus init' : `isthmus token create --role ${component}`;
  expect(err).toMatch(new RegExp(`what to do: .*\`${remedy}.*--data ${folder}\``));
});
