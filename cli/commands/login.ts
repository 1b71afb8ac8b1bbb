// `isthmus login`: stores server, authority and key for later commands.
import type { Command } from 'commander';
import type { Whoami } from '../../contract/api-keys.ts';
import { examples, type Cli } from '../cli.ts';
import { contextFileOf, loginNeeds, resolveConnection, writeContext, type ContextOptions } from '../client/context.ts';
import { ApiClient } from '../client/client.ts';

/** Adds `login`. */
export function addLoginCommand(program: Command, cli: Cli): void {
  const login = program
    .command('login')
    .description('check a server, authority and API key, and write them to the context file');
  examples(
    login,
    'isthmus login --server https://isthmus.example:8443 --ca authority.pem --api-key-file key.txt',
    'isthmus login --server https://isthmus.example:8443 --ca authority.pem --api-key-file - < key.txt',
    'isthmus login --api-key-file new.key      # the same server, another key',
  ).action(async () => {
    const { server, authorityPem, apiKey } = await resolveConnection(
      program.opts<ContextOptions>(),
      cli.terminal,
      'to be written',
    );
    if (authorityPem === undefined || apiKey === undefined) throw loginNeeds();
    const client = new ApiClient({ server, authorityPem, apiKey });
    try {
      const who = await client.get<Whoami>('whoami');
      const file = contextFileOf(cli.contextOption);
      await writeContext(file, { server: server.origin, authorityPem, apiKey });
      cli.show(
        { ...who, context: file },
        () => `logged in to mesh ${who.mesh} with key ${who.key} (${who.role}); written to ${file}`,
      );
    } finally {
      client.close();
    }
  });
}
