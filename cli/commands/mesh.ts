// `isthmus mesh …`: is everything connected, how far is a machine, and where does the way to it end.
import type { Command } from 'commander';
import { IsthmusError } from '../../lib/errors.ts';
import type { Hop, MeshState } from '../api-types.ts';
import { examples, type Cli } from '../cli.ts';
import { escapeText } from '../render/escape.ts';
import { renderTable } from '../render/table.ts';
import { bytes, daysUntil, milliseconds } from '../render/units.ts';
import { say } from '../terminal.ts';
import { count } from '../values.ts';

interface PingReply {
  readonly pings?: readonly {
    readonly roundTripMs?: number | null;
    readonly error?: { readonly code: string; readonly detail?: string } | null;
  }[];
}

async function status(cli: Cli): Promise<void> {
  const mesh = await (await cli.client()).get<MeshState>('mesh');
  const links = mesh.links.map((link) => [
    link.from,
    link.to,
    link.up ? 'up' : 'DOWN',
    milliseconds(link.roundTripMs),
    bytes(link.bytesDown),
    bytes(link.bytesUp),
    link.dialledBy,
  ]);
  const nodes = mesh.nodes.map((node) => [
    node.id,
    node.role,
    node.site,
    node.state,
    node.softwareVersion,
    daysUntil(node.certificateNotAfter),
  ]);
  cli.show(mesh, () =>
    [
      renderTable(['link from', 'to', 'state', 'round trip', 'down', 'up', 'dialled by'], links),
      renderTable(['node', 'role', 'site', 'state', 'version', 'cert days'], nodes),
    ].join('\n\n'),
  );
  const down = mesh.links.filter((link) => !link.up);
  if (down.length > 0) {
    throw new IsthmusError(
      'TASK_NOT_SUCCESSFUL',
      `down: ${down.map((link) => `${link.from} - ${link.to}`).join(', ')}`,
      {
        remedy: 'See why with `isthmus mesh trace NODE`, and in the log of the side that dials.',
      },
    );
  }
}

function hopLine(hop: Hop, place: number): string {
  const days =
    hop.certificateDays === null || hop.certificateDays === undefined ? '-' : `${hop.certificateDays.toFixed(1)} days`;
  const facts = `${milliseconds(hop.roundTripMs)}, version ${hop.version ?? '-'}, certificate ${days}`;
  const failure = hop.error ? `FAILED ${hop.error.code}${hop.error.detail ? `: ${hop.error.detail}` : ''}` : facts;
  return escapeText(`${String(place + 1).padStart(2)}  ${hop.node}  ${failure}`);
}

async function trace(cli: Cli, target: string): Promise<void> {
  const { body } = await (await cli.client()).post<{ hops: Hop[] } | Hop[]>('mesh/trace', { node: target });
  const hops = Array.isArray(body) ? body : body.hops;
  cli.show(body, () => hops.map(hopLine).join('\n'));
  const failed = hops.find((hop) => hop.error);
  if (failed?.error) {
    throw new IsthmusError(
      'TASK_NOT_SUCCESSFUL',
      `the way to ${target} ends before ${failed.node}: ${failed.error.code}`,
      {
        hop: failed.node,
        remedy: failed.error.remedy,
      },
    );
  }
}

async function ping(cli: Cli, machine: string, times: number): Promise<void> {
  const client = await cli.client();
  const { body } = await client.post<PingReply>('mesh/ping', { machine, count: times });
  const pings = body.pings ?? [];
  cli.show(body, () =>
    pings
      .map(
        (each, place) =>
          `${place + 1}  ${machine}  ${each.error ? `FAILED ${each.error.code}` : milliseconds(each.roundTripMs)}`,
      )
      .join('\n'),
  );
  const failed = pings.filter((each) => each.error).length;
  if (!cli.json && pings.length > 0) say(cli.terminal, `${pings.length - failed} of ${pings.length} answered`);
  if (failed > 0) throw new IsthmusError('TASK_NOT_SUCCESSFUL', `${failed} of ${pings.length} were not answered`);
}

/** Adds `mesh`. */
export function addMeshCommands(program: Command, cli: Cli): void {
  const group = program.command('mesh').description('links, routes and where they fail');
  examples(group, 'isthmus mesh status', 'isthmus mesh trace eu-pci-1');

  examples(
    group.command('status').description('every link and node; exit code 1 when a link is down'),
    'isthmus mesh status',
  ).action(() => status(cli));

  examples(
    group.command('trace <node>').description('every hop to a node or machine, and the first that fails'),
    'isthmus mesh trace eu-pci-1',
  ).action((target: string) => trace(cli, target));

  const pingCommand = group
    .command('ping <machine>')
    .description('round trips to a machine, down its route')
    .option('-c, --count <n>', 'how many', count, 4);
  examples(pingCommand, 'isthmus mesh ping eu-pci-1 -c 10').action((machine: string, options: { count: number }) =>
    ping(cli, machine, options.count),
  );
}
