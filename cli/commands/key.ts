// `isthmus key …`: API keys, for people and for machines that call the API.
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { API_ROLES, type ApiKey, type ApiRole, type CreatedApiKey, type NewApiKey } from '../../contract/api-keys.ts';
import { asOwnerOf } from '../../lib/files/as-owner.ts';
import { examples, type Cli } from '../cli.ts';
import { path, type ApiClient, type Reply } from '../client/client.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { keepSecret } from '../secrets.ts';
import { confirm } from '../terminal.ts';
import { duration } from '../values.ts';

interface CreateOptions {
  readonly name: string;
  readonly role: ApiRole;
  readonly expires?: number;
  readonly out?: string;
  readonly data?: string;
}

function addCreate(group: Command, cli: Cli): void {
  const create = group
    .command('create')
    .description("create a key, of your own role or a lesser one, or on the server's machine any; it is shown once")
    .requiredOption('--name <name>', 'who or what uses it')
    .addOption(new Option('--role <role>', 'what it may do').choices(API_ROLES).makeOptionMandatory())
    .option('--expires <time>', 'time to live (default: until your own key expires)', duration)
    .option('--out <file>', 'write the key to a new file (0600) instead of showing it')
    .option('--data <folder>', "the server's data folder on this machine: needs no key, and the server may be stopped");
  examples(
    create,
    'isthmus key create --name ci --role operator --expires 90d --out ci.key',
    'isthmus key create --name me --role admin --out new.key && isthmus login --api-key-file new.key',
    'isthmus key create --data /var/lib/isthmus/server --name me --role admin --out new.key',
  ).action(async ({ name, role, expires, out, data }: CreateOptions) => {
    const expiry = expires === undefined ? {} : { expiresAt: Date.now() + expires * 1000 };
    const create = data === undefined ? createAtServer(await cli.client()) : createInFolder(resolve(data));
    const created = await keepSecret(
      out,
      () => create({ name, role, ...expiry }),
      ({ key }) => key,
    );
    const { key, ...record } = created;
    const until = record.expiresAt === null ? 'until it is revoked' : `until ${moment(record.expiresAt)}`;
    cli.show(out === undefined ? created : { ...record, keyFile: out }, () =>
      out === undefined ? key : `key ${record.id} (${role}) is in ${out}, valid ${until}`,
    );
  });
}

type CreateKey = (key: NewApiKey) => Promise<CreatedApiKey>;

function createAtServer(client: ApiClient): CreateKey {
  return async (key) => {
    const { body }: Reply<CreatedApiKey> = await client.post('api-keys', key);
    return body;
  };
}

function createInFolder(dataDir: string): CreateKey {
  return async (key) => {
    const { createLocalKey } = await import('../../server/operations/local-requests.ts');
    return asOwnerOf(dataDir, () => createLocalKey(dataDir, key));
  };
}

/** Adds `key`. */
export function addKeyCommands(program: Command, cli: Cli): void {
  const group = program.command('key').description('API keys');
  examples(group, 'isthmus key list', 'isthmus key create --name ci --role operator --expires 90d --out ci.key');
  addCreate(group, cli);

  examples(group.command('list').description('list keys, never their secrets'), 'isthmus key list').action(async () => {
    const items = await (await cli.client()).list<ApiKey>('api-keys');
    const rows = items.map((each) => [
      each.id,
      each.name,
      each.role,
      moment(each.createdAt),
      moment(each.expiresAt),
      moment(each.revokedAt),
    ]);
    cli.show(items, () => renderTable(['key', 'name', 'role', 'created', 'expires', 'revoked'], rows));
  });

  const revoke = group.command('revoke <key>').description('revoke a key at once').option('--yes', 'do not ask');
  examples(revoke, 'isthmus key revoke a9bd2c5b68fc --yes').action(async (id: string, options: { yes?: boolean }) => {
    await confirm(cli.terminal, `Revoke the key ${id}? Its requests are denied from now on.`, options.yes);
    await (await cli.client()).request('DELETE', path('api-keys', id), {});
    cli.show({ revoked: id }, () => `key ${id} revoked`);
  });
}
