// `isthmus node …`: the nodes of the mesh and their parents.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  isChosen,
  type DesiredParents,
  type NewParents,
  type Node,
  type Parent,
  type Reactivation,
} from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { revokedText } from '../render/remedy.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { clonesText, cloneText } from '../render/clone.ts';
import { daysUntil, moment } from '../render/units.ts';
import { confirm } from '../terminal.ts';
import { addNodeUpgradeCommand } from './node-upgrade.ts';
import { collectPairs, collectParents, duration } from '../values.ts';

/** Parents in order of preference as one word: who dials, and where. */
function parentsText(parents: readonly Parent[]): string {
  return parents
    .map(({ node, dialAddress }) => (dialAddress === null ? `dials ${node}` : `dialled by ${node} at ${dialAddress}`))
    .join(' | ');
}

function desiredText({ parents, errorCode }: DesiredParents): string {
  return `${parentsText(parents)}${errorCode === null ? '' : ` (last error: ${errorCode})`}`;
}

interface ReactivateOptions extends Reactivation {
  readonly yes?: boolean;
}

interface SetParentsOptions {
  readonly address?: Readonly<Record<string, string>>;
  readonly wait?: number;
}

const DEFAULT_WAIT_S = 60;
const LOOK_EVERY_MS = 500;

/** The request's parents, each with the address at which the node dials it where `--address` gives one. */
function withAddresses(
  parents: readonly { readonly node: string; readonly dialAddress?: string }[],
  addresses: Readonly<Record<string, string>>,
): NewParents['parents'] {
  const unknown = Object.keys(addresses).find((name) => parents.every(({ node }) => node !== name));
  if (unknown !== undefined)
    throw new IsthmusError('USAGE', `--address names ${unknown}, which is not among the parents`);
  return parents.map((each) => ({
    ...each,
    ...(addresses[each.node] === undefined ? {} : { address: addresses[each.node] }),
  }));
}

/** Waits until a node has moved to its desired parents, or the time is up; returns the node as it is then. */
async function untilApplied(cli: Cli, id: string, waitS: number): Promise<Node> {
  const client = await cli.client();
  const untilMs = performance.now() + waitS * 1000;
  for (;;) {
    const node = await client.get<Node>(path('nodes', id));
    if (!node.desiredParents || performance.now() >= untilMs) return node;
    await sleep(LOOK_EVERY_MS, undefined, { signal: cli.terminal.signal }).catch(() => {
      throw new IsthmusError('CANCELLED', 'interrupted; the desired parents stay set');
    });
  }
}

async function setParents(
  cli: Cli,
  id: string,
  parents: Parameters<typeof withAddresses>[0],
  { address = {}, wait = DEFAULT_WAIT_S }: SetParentsOptions,
): Promise<void> {
  const body = { parents: withAddresses(parents, address) };
  await (await cli.client()).change<Node>('PUT', path('nodes', id, 'parents'), body, path('nodes', id));
  const node = await untilApplied(cli, id, wait);
  const { desiredParents: desired } = node;
  cli.show(node, () =>
    desired
      ? `${id} has desired parents: ${desiredText(desired)}`
      : `${id} has its new parents: ${parentsText(node.parents)}`,
  );
  if (!desired || wait === 0) return;
  const why = desired.errorCode === null ? 'it has not answered' : `last error ${desired.errorCode}`;
  throw new IsthmusError('REPARENT_TIMEOUT', `${id} has not moved within ${wait} s: ${why}`, {
    hop: id,
    remedy: `It keeps its parents and keeps trying: see \`isthmus node show ${id}\`, or set other parents.`,
  });
}

/** Adds `node`. */
export function addNodeCommands(program: Command, cli: Cli): void {
  const group = program.command('node').description('nodes of the mesh');
  examples(group, 'isthmus node list', 'isthmus node revoke eu-1');

  examples(group.command('list').description('list nodes'), 'isthmus node list').action(async () => {
    const items = await (await cli.client()).list<Node>('nodes');
    const rows = items.map((each) => [
      each.id,
      each.role,
      each.site,
      parentsText(each.parents),
      each.state,
      daysUntil(each.certificateNotAfter),
      each.softwareVersion,
      moment(each.lastSeenAt),
    ]);
    cli.show(items, () =>
      renderTable(['node', 'role', 'site', 'parents', 'state', 'cert days', 'version', 'last seen'], rows),
    );
  });

  examples(group.command('show <node>').description('show one node'), 'isthmus node show eu').action(
    async (id: string) => {
      const node = await (await cli.client()).get<Node>(path('nodes', id));
      cli.show(node, () => {
        const record = renderRecord({
          node: node.id,
          role: node.role,
          site: node.site,
          'parents (in order)': parentsText(node.parents),
          ...(node.desiredParents ? { 'desired parents': desiredText(node.desiredParents) } : {}),
          state: node.state,
          ...(node.clones.length > 0 ? { cloned: clonesText(node.id, node.clones) } : {}),
          'certificate expires': moment(node.certificateNotAfter),
          version: node.softwareVersion,
          'last seen': moment(node.lastSeenAt),
        });
        return node.state === 'revoked' ? `${record}\n\n${revokedText(node)}` : record;
      });
    },
  );

  const set = group
    .command('set-parents <node>')
    .description('move a node to other parents; it keeps the present ones until a link to a new one is up')
    .argument('<parent...>', 'in order of preference; node=host:port when that parent dials it there', collectParents)
    .option(
      '--address <node=host:port>',
      'dial that parent there, instead of at its known address; repeat for another parent',
      collectPairs,
    )
    .option('--wait <time>', 'how long to wait until it has moved (default 1m; 0s does not wait)', duration);
  examples(
    set,
    'isthmus node set-parents web-1 eu-a eu-b',
    'isthmus node set-parents eu-b server --address server=isthmus.example:8444',
    'isthmus node set-parents db-1 eu-a=10.0.0.7:8444 eu-b=10.0.0.7:8444      # both dial it',
  ).action((id: string, parents: Parameters<typeof withAddresses>[0], options: SetParentsOptions) =>
    setParents(cli, id, parents, options),
  );

  addNodeUpgradeCommand(group, cli);

  const reactivate = group
    .command('reactivate <node>')
    .description('let a denied process of a cloned node in, and shut the other one out')
    .option('--hostname <hostname>', 'the host of the process to let in (default: of the one that was denied last)')
    .option('--address <address>', 'the address that it came from, where several share their hostname')
    .option('--yes', 'do not ask');
  examples(
    reactivate,
    'isthmus node reactivate web-1',
    'isthmus node reactivate web-1 --address 10.0.0.7 --yes',
  ).action(async (id: string, { yes, ...choice }: ReactivateOptions) => {
    const client = await cli.client();
    const { clones } = await client.get<Node>(path('nodes', id));
    const chosen = clones.find((clone) => isChosen(clone, choice));
    const which = chosen === undefined ? 'the denied process' : cloneText(chosen);
    await confirm(cli.terminal, `Let ${which} act as ${id}? The other process is shut out.`, yes);
    const { body } = await client.post<Node>(path('nodes', id, 'reactivate'), choice);
    cli.show(body, () => `node ${id} reactivated: ${which} acts as it`);
  });

  const revoke = group
    .command('revoke <node>')
    .description('revoke a node: it leaves the mesh within seconds, until it joins again')
    .option('--yes', 'do not ask');
  examples(revoke, 'isthmus node revoke eu-1 --yes').action(async (id: string, options: { yes?: boolean }) => {
    await confirm(cli.terminal, `Revoke ${id}? It must join again to come back.`, options.yes);
    const { body } = await (await cli.client()).post<Node>(path('nodes', id, 'revoke'));
    cli.show(body, () => revokedText(body));
  });
}
