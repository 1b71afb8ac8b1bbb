// `isthmus mesh …`: the state of links and nodes, round trips to a machine, and the hop at which a path fails.
import type { Command } from 'commander';
import type { Hop, Mesh, MeshLink, Ping, ProbeError, Trace, TracedPath } from '../../contract/mesh.ts';
import type { Node } from '../../contract/nodes.ts';
import { IsthmusError, receivedAction } from '../../contract/errors.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { examples, type Cli } from '../cli.ts';
import type { ApiClient } from '../client/client.ts';
import { escapeText } from '../render/escape.ts';
import { clonesText } from '../render/clone.ts';
import { lastErrorText } from '../render/link.ts';
import { renderTable } from '../render/table.ts';
import { daysUntil, milliseconds } from '../render/units.ts';
import { count } from '../values.ts';

function stateOf(link: MeshLink): string {
  const { state, behind, childState, address } = link;
  switch (childState) {
    case 'active':
      return behind === null ? state : `${state} behind ${behind}`;
    case 'pending':
      return address ? `pending join, dialled at ${address}${lastErrorText(link)}` : 'pending join';
    case 'revoked':
      return 'revoked';
  }
}

/** One line for each node of which a second process was denied. */
function cloneLines({ nodes }: Mesh): string[] {
  return nodes
    .filter(({ clones }) => clones.length > 0)
    .map(({ id, clones }) => escapeText(`${id} is cloned: ${clonesText(id, clones)}`));
}

/** One line for the nodes below the server's version, and one for those above it. A server may not tell yet. */
function skewLines({ nodes, versionSkew: skew }: Partial<Mesh>): string[] {
  if (skew === undefined) return [];
  const versions = new Map(nodes?.map(({ id, softwareVersion }) => [id, softwareVersion]));
  const list = (ids: readonly string[]) => ids.map((id) => `${id} ${versions.get(id)}`).join(', ');
  const { serverVersion, behind, ahead } = skew;
  return [
    ...(behind.length === 0
      ? []
      : [
          `behind the server, which runs ${serverVersion}: ${list(behind)}. \`isthmus node upgrade NODE\` or ` +
            `\`--site SITE\` with \`--file isthmus-${serverVersion}-linux-ARCH.tar.gz\` upgrades them.`,
        ]),
    ...(ahead.length === 0
      ? []
      : [
          `ahead of the server, which runs ${serverVersion}: ${list(ahead)}. ` +
            'Upgrade the server on its host, with the install.sh of the tarball.',
        ]),
  ].map(escapeText);
}

async function status(cli: Cli): Promise<void> {
  const client = await cli.client();
  const mesh = await client.get<Mesh>('mesh');
  const ends = new Map((await client.list<Node>('nodes')).map((node) => [node.id, node.certificateNotAfter]));
  const links = mesh.links.map((link) => [
    link.from,
    link.to,
    stateOf(link),
    milliseconds(link.roundTripMs),
    bytes(link.bytesDown),
    bytes(link.bytesUp),
    link.dialledBy,
  ]);
  const nodes = mesh.nodes.map((node) => [
    node.id,
    node.role,
    node.site,
    node.state === 'revoked' ? node.state : node.behind === null ? node.live : `${node.live} behind ${node.behind}`,
    node.softwareVersion,
    daysUntil(ends.get(node.id)),
  ]);
  cli.show(mesh, () =>
    [
      renderTable(['link from', 'to', 'state', 'round trip', 'to child', 'from child', 'dialled by'], links),
      renderTable(['node', 'role', 'site', 'state', 'version', 'cert days'], nodes),
      ...cloneLines(mesh),
      ...skewLines(mesh),
    ].join('\n\n'),
  );
  const active = mesh.links.filter(({ childState }) => childState === 'active');
  const { down = [], unknown = [] } = Object.groupBy(active, ({ state }) => state);
  if (down.length > 0) {
    const named = down.map((link) => `${link.from} - ${link.to}`).join(', ');
    const more = unknown.length === 0 ? '' : `; unknown: ${unknown.length}`;
    throw new IsthmusError('CHECK_FAILED', `down: ${named}${more}`, {
      remedy: `See why with \`isthmus mesh trace ${down[0]?.to}\`, and in the log of the side that dials.`,
    });
  }
}

function hopLine(hop: Hop, index: number): string {
  const days = hop.certificateDays === null ? '-' : `${hop.certificateDays.toFixed(1)} days`;
  const facts = `${milliseconds(hop.roundTripMs)}, version ${hop.version ?? '-'}, certificate ${days}`;
  const failure = hop.error ? `FAILED ${hop.error.code}${hop.error.detail ? `: ${hop.error.detail}` : ''}` : facts;
  return escapeText(`${String(index + 1).padStart(2)}  ${hop.node}  ${failure}`);
}

type Remedy = Pick<IsthmusError, 'action' | 'remedy'>;

/**
 * What to do about a hop that fails: which side dials the link to it, and its last error, say more than the code.
 */
async function traceRemedy(client: ApiClient, node: string, { remedy, action }: ProbeError): Promise<Remedy> {
  if (action !== undefined) return { remedy, action: receivedAction(action) };
  const { links } = await client.get<Mesh>('mesh');
  const link = links.find(({ to, state }) => to === node && state === 'down');
  if (link === undefined) return { remedy, action: undefined };
  const [dialling, listening] = link.dialledBy === 'child' ? [link.to, link.from] : [link.from, link.to];
  const check = `check that both run and that ${dialling} reaches the port of ${listening}`;
  return { remedy: `${dialling} dials this link${lastErrorText(link)}: ${check}.`, action: undefined };
}

/** A path as text; every path begins at the server. */
function pathText(path: readonly string[], target: string): string {
  return ['server', ...path, target].join(' > ');
}

/** A path with its state, and why it is not up. */
function tracedPathText({ path, state, reason }: TracedPath, target: string): string {
  return `${pathText(path, target)}  ${state}${reason === null ? '' : `: ${reason}`}`;
}

async function trace(cli: Cli, node: string): Promise<void> {
  const client = await cli.client();
  const { body } = await client.post<Trace>('mesh/trace', { node });
  const { paths } = body;
  const several = paths.length > 1;
  cli.show(body, () =>
    paths
      .map((path) => {
        const heading = several || path.state !== 'up' ? [escapeText(tracedPathText(path, node))] : [];
        return [...heading, ...path.hops.map(hopLine)].join('\n');
      })
      .join('\n\n'),
  );
  const failures = paths.flatMap(({ hops }) => hops.filter((hop) => hop.error));
  const [failed] = failures;
  if (!failed?.error) return;
  const reached = failures.length < paths.length ? '; it is reached by another path' : '';
  throw new IsthmusError(
    'CHECK_FAILED',
    `${several ? 'a' : 'the'} path to ${node} ends before ${failed.node}: ${failed.error.code}${reached}`,
    { hop: failed.node, ...(await traceRemedy(client, failed.node, failed.error)) },
  );
}

async function ping(cli: Cli, machine: string, times: number): Promise<void> {
  const client = await cli.client();
  const { body } = await client.post<Ping>('mesh/ping', { machine, count: times });
  const { paths } = body;
  const lines = paths.flatMap(({ path: via, roundTripsMs, error }) => {
    const pathTo = [...via, machine].join(' > ');
    if (error) return [`${pathTo}  FAILED ${error.code}${error.detail ? `: ${error.detail}` : ''}`];
    return roundTripsMs.map((trip) => `${pathTo}  ${milliseconds(trip)}`);
  });
  cli.show(body, () => lines.map(escapeText).join('\n'));
  const failures = paths.flatMap(({ error }) => error ?? []);
  const [failed] = failures;
  if (failed === undefined) return;
  const which = failures.length === paths.length ? 'by any of its paths' : 'by one of its paths';
  throw new IsthmusError('CHECK_FAILED', `${machine} does not answer ${which}: ${failed.code}`, {
    hop: failed.hop,
    ...(failed.action === undefined
      ? { remedy: `See where it ends: \`isthmus mesh trace ${machine}\`.` }
      : { remedy: failed.remedy, action: receivedAction(failed.action) }),
  });
}

/** Adds `mesh`. */
export function addMeshCommands(program: Command, cli: Cli): void {
  const group = program.command('mesh').description('links, paths and where they fail');
  examples(group, 'isthmus mesh status', 'isthmus mesh trace eu-pci-1');

  examples(
    group.command('status').description('show every link and node; exit code 1 when a link is down'),
    'isthmus mesh status',
  ).action(() => status(cli));

  examples(
    group.command('trace <node>').description('show every hop to a node, by each path, and the first that fails'),
    'isthmus mesh trace eu-pci-1',
  ).action((node: string) => trace(cli, node));

  const pingCommand = group
    .command('ping <machine>')
    .description('measure round trips to a machine, by each of its routes; exit code 1 when one fails')
    .option('-c, --count <n>', 'how many', count, 4);
  examples(pingCommand, 'isthmus mesh ping eu-pci-1 -c 10').action((machine: string, options: { count: number }) =>
    ping(cli, machine, options.count),
  );
}
