// A field of a request or a setting in the words of the command that was given.
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { captureTerminal } from '../../test/support/terminal.ts';
import { addCommands, createProgram } from '../program.ts';
import { commandLine, wordOf } from './command-words.ts';

/** The command of a command line, with the options that are given. */
async function given(words: string): Promise<Command> {
  const { program, cli } = createProgram(captureTerminal().terminal);
  await addCommands(program, cli);
  let command: Command = program;
  const argv = words.split(' ');
  for (const word of [...argv]) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
    argv.shift();
  }
  command.parseOptions(argv);
  return command;
}

it.each([
  ['token create', 'ttlS', '--ttl'],
  ['token create', 'targetRoles[0]', '--target-role'],
  ['token create --parent eu=x', 'parents[0].dialAddress', '--parent'],
  ['token create --parent eu --dial x', 'parents[0].dialAddress', '--dial'],
  ['token create', 'parents[1].node', '--parent'],
  ['token create', 'routes[0].via[1]', '--route'],
  ['node set-parents --address eu=x', 'parents[0].address', '--address'],
  ['node set-parents', 'parents[0].dialAddress', '<parent>'],
  ['machine set-route', 'routes[0]', '<route>'],
  ['project create', 'id', '<id>'],
  ['project create', 'steps', '--process'],
  ['project set-process', 'steps[0].kind', '<file>'],
  ['project variables set', 'value', '<value>'],
  ['project variables set --file x', 'value', '--file'],
  ['release create', 'version', '<version>'],
  ['release create', 'packages.web', '--package'],
  ['deploy --to prod', 'environment', '--to'],
  ['deploy', 'release', '<version>'],
  ['deploy', 'deadlineS', '--deadline'],
  ['script run', 'body', '--file'],
  ['key create', 'expiresAt', '--expires'],
  ['backup', 'passphraseFile', '--passphrase-file'],
  ['init', 'dataDir', '--data'],
  ['server start', 'api.listen', '--api-listen'],
  ['server start', 'listen', '--mesh-listen'],
  ['relay start', 'listen', '--listen'],
  ['token create', 'cursor', undefined],
])('%s: %s is %s', async (words, field, word) => {
  expect(wordOf(await given(words), field)).toBe(word);
});

it('names a command with the groups that it is in', async () => {
  expect(commandLine(await given('project variables set --file x'))).toBe('isthmus project variables set');
});
