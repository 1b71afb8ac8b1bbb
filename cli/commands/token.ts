// `isthmus token …`: single-use join tokens.
import { Option, type Command } from 'commander';
import { JOIN_ROLES, type CreatedJoinToken, type JoinToken, type NewJoinToken } from '../../contract/join-tokens.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import type { Mesh, MeshLink } from '../../contract/mesh.ts';
import { examples, type Cli } from '../cli.ts';
import { path, type Reply } from '../client/client.ts';
import { lastErrorText } from '../render/link.ts';
import { shellWord } from '../render/shell.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { keepSecret } from '../secrets.ts';
import { confirm, warn } from '../terminal.ts';
import { collect, collectRoutes, collectWhole, duration, parent } from '../values.ts';

interface CreateOptions {
  readonly role: NewJoinToken['role'];
  readonly site: string;
  readonly name?: string;
  readonly parent?: string[];
  readonly dial?: string;
  readonly address?: string;
  readonly environment?: string[];
  readonly targetRole?: string[];
  readonly route?: readonly MachineRoute[];
  readonly ttl?: number;
  readonly out?: string;
}

/** The body of POST /tokens from the command's options. */
function tokenRequest(options: CreateOptions): NewJoinToken {
  return {
    role: options.role,
    site: options.site,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.parent === undefined && options.dial === undefined ? {} : { parents: parentsOf(options) }),
    ...(options.address === undefined ? {} : { address: options.address }),
    ...(options.environment === undefined ? {} : { environments: options.environment }),
    ...(options.targetRole === undefined ? {} : { targetRoles: options.targetRole }),
    ...(options.route === undefined ? {} : { routes: options.route }),
    ...(options.ttl === undefined ? {} : { ttlS: options.ttl }),
  };
}

/** The parents in order; `--dial` applies to those without an address of their own. */
function parentsOf({ parent: words = ['server'], dial }: CreateOptions): NonNullable<NewJoinToken['parents']> {
  return words.map(parent).map((each) => ({ ...(dial === undefined ? {} : { dialAddress: dial }), ...each }));
}

/** The join command to paste, with the token on standard input: the command line would show it to other users. */
function joinLines({ joinCommand, token }: CreatedJoinToken): string {
  return `${joinCommand} <<'END'\n${token}\nEND`;
}

/** The join command with the token in a file that has been copied to the machine. */
function joinLine({ joinCommand }: CreatedJoinToken, file: string): string {
  return joinCommand.replace(/ --token-file -$/, ` --token-file ${shellWord(file)}`);
}

const OF_SERVICE =
  'The node becomes a service there. From a checkout, or without systemd: `--data FOLDER` in place of `--service`.';

function othersText({ othersOpen }: CreatedJoinToken, isDialled: boolean): string {
  if (othersOpen.length === 0) return '';
  const commands = othersOpen.map((id) => `isthmus token revoke ${id}`).join('\n  ');
  const dialled = isDialled
    ? ' From now on the parent dials the address of this one: run the command above also where a join waits with the other.'
    : '';
  return `Another token for this name is still valid; the first join takes the name.${dialled} To revoke it:\n  ${commands}`;
}

/** A parent of the node that waits to join; where it dials the node, with its last error. */
function parentText(
  { name }: JoinToken,
  { node, dialAddress }: JoinToken['parents'][number],
  links: readonly MeshLink[],
): string {
  if (dialAddress === null) return node;
  const pending = links.find(
    ({ childState, from, to, address }) =>
      childState === 'pending' && from === node && to === name && address === dialAddress,
  );
  return `${node} dials ${dialAddress}${pending === undefined ? '' : lastErrorText(pending)}`;
}

/** Adds `token`. */
export function addTokenCommands(program: Command, cli: Cli): void {
  const group = program.command('token').description('join tokens: single use, an hour at most');
  examples(group, 'isthmus token create --role relay --site eu --name eu', 'isthmus token list');

  const create = group
    .command('create')
    .description('create a token and print the join command')
    .addOption(new Option('--role <role>', 'the role of the node').choices(JOIN_ROLES).makeOptionMandatory())
    .requiredOption('--site <id>', 'the site of the node')
    .option('--name <id>', 'the node id')
    .option(
      '--parent <node>',
      'its parent (default: the server); repeat for the next choice; node=host:port when that parent dials it there',
      collectWhole,
    )
    .option('--dial <host:port>', 'its parents dial it there; without this it dials them')
    .option('--address <host:port>', 'what the children of a relay dial, when it has several networks or names')
    .option('--environment <ids>', 'environments of the machine', collect)
    .option('--target-role <roles>', 'target roles of the machine', collect)
    .option('--route <route>', 'how the server reaches the machine; repeat for the next choice', collectRoutes)
    .option('--ttl <time>', 'time to live (default and maximum 1h)', duration)
    .option('--out <file>', 'write the token to a file (0600) instead of showing it');
  examples(
    create,
    'isthmus token create --role relay --site eu --name eu --dial relay.eu.example:8444 --address relay.eu.internal:8444',
    'isthmus token create --role tentacle --site eu --parent eu --environment production --target-role web',
    'isthmus token create --role tentacle --site eu --name web-1 --parent eu-a --parent eu-b     # two paths',
    'isthmus token create --role mirror --site eu --name mirror-eu --out mirror.token',
  ).action(async (options: CreateOptions) => {
    const client = await cli.client();
    const issue = (): Promise<Reply<CreatedJoinToken>> => client.post('tokens', tokenRequest(options));
    const { body } = await keepSecret(options.out, issue, (reply) => reply.body.token);
    const { token: _secret, ...shown } = body;
    const others = othersText(
      body,
      options.dial !== undefined || options.parent?.some((word) => word.includes('=')) === true,
    );
    const { out } = options;
    cli.show(out === undefined ? body : { ...shown, tokenFile: out }, () => {
      const until = moment(body.expiresAt);
      if (out === undefined) return `${OF_SERVICE}\nRun this on the machine before ${until}:\n\n${joinLines(body)}`;
      const copied = `Copy ${out} to the machine (0600), and run this there before ${until}:`;
      return `token ${body.id} is in ${out}. ${OF_SERVICE}\n${copied}\n\n${joinLine(body, out)}`;
    });
    // Not beside what is to be pasted.
    if (others !== '') warn(cli.terminal, others);
  });

  examples(group.command('list').description('list tokens'), 'isthmus token list').action(async () => {
    const client = await cli.client();
    const items = await client.list<JoinToken>('tokens');
    const { links } = await client.get<Mesh>('mesh');
    const rows = items.map((each) => [
      each.id,
      each.role,
      each.site,
      each.name,
      each.parents.map((parent) => parentText(each, parent, links)),
      moment(each.expiresAt),
      moment(each.usedAt),
    ]);
    cli.show(items, () => renderTable(['token', 'role', 'site', 'name', 'parents', 'expires', 'used'], rows));
  });

  const revoke = group.command('revoke <id>').description('revoke a token at once').option('--yes', 'do not ask');
  examples(revoke, 'isthmus token revoke 01j… --yes').action(async (id: string, options: { yes?: boolean }) => {
    await confirm(cli.terminal, `Revoke the token ${id}? No node can join with it any more.`, options.yes);
    await (await cli.client()).request('DELETE', path('tokens', id), {});
    cli.show({ revoked: id }, () => `token ${id} revoked`);
  });
}
