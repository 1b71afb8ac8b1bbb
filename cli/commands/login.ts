// `isthmus login`: remember a server for later commands.
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { IsthmusError } from '../../lib/errors.ts';
import { examples, type Cli } from '../cli.ts';
import { writeContext } from '../context.ts';
import { readSecret } from '../secrets.ts';
import { ApiClient } from '../client.ts';

interface GlobalOptions {
  readonly server?: string;
  readonly ca?: string;
  readonly apiKeyFile?: string;
}

/** Adds `login`. */
export function addLoginCommand(program: Command, cli: Cli): void {
  const login = program
    .command('login')
    .description('check a server, authority and API key, and write them to the context file');
  examples(
    login,
    'isthmus login --server https://isthmus.example:8443 --ca authority.pem --api-key-file key.txt',
    'isthmus login --server https://isthmus.example:8443 --ca authority.pem --api-key-file - < key.txt',
  ).action(async () => {
    const { server, ca, apiKeyFile } = program.opts<GlobalOptions>();
    if (server === undefined || ca === undefined || apiKeyFile === undefined) {
      throw new IsthmusError('USAGE', 'login needs --server, --ca and --api-key-file');
    }
    const authorityPem = await readFile(ca, 'utf8').catch((cause: unknown) => {
      throw new IsthmusError('USAGE', `cannot read ${ca}`, { cause });
    });
    const apiKey = await readSecret(apiKeyFile, cli.terminal.stdin, 'the API key');
    const url = URL.parse(server.includes('://') ? server : `https://${server}`);
    if (url === null) throw new IsthmusError('USAGE', `"${server}" is not an address`);
    const client = new ApiClient({ server: url, authorityPem, apiKey });
    try {
      const who = await client.get<unknown>('whoami');
      const file = cli.contextFile;
      await writeContext(file, { server: url.origin, authorityPem, apiKey });
      cli.show({ ...(who as object), context: file }, () => `logged in; written to ${file}`);
    } finally {
      client.close();
    }
  });
}
