// Typos among subcommands, and parts started in a folder without a node: what the command line says before it does anything.
import { expect, it } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import { isthmus } from '../test/support/terminal.ts';

it.each([[['project', 'set-variables', '--help']], [['project', 'set-variables']]])('refuses %j', async (argv) => {
  const { code, out, err } = await isthmus(argv);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/unknown command 'set-variables'\s+\(Did you mean variables\?\)/);
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
  ['server', 'no server was made in'],
])('says what comes before `%s start`', async (part, said) => {
  const folder = await tempDir();
  const { code, err } = await isthmus([part, 'start', '--data', folder]);
  expect(code).toBe(9);
  expect(err).toContain(`${said} ${folder}: run \`isthmus ${part === 'server' ? 'init' : 'join'}\` first`);
});
