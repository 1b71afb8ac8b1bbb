// `isthmus node …`: everything that holds a certificate.
import type { Command } from 'commander';
import type { MeshNode, Parent } from '../api-types.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { daysUntil, moment } from '../render/units.ts';
import { confirm } from '../terminal.ts';

/** Parents in order of preference as one word: who dials, and where. */
function parentsText(parents: readonly Parent[]): string {
  return parents
    .map(({ node, dialAddress }) => (dialAddress === null ? `dials ${node}` : `dialled by ${node} at ${dialAddress}`))
    .join(' | ');
}

/** Adds `node`. */
export function addNodeCommands(program: Command, cli: Cli): void {
  const group = program.command('node').description('nodes of the mesh');
  examples(group, 'isthmus node list', 'isthmus node revoke eu-1');

  examples(group.command('list').description('list nodes'), 'isthmus node list').action(async () => {
    const items = await (await cli.client()).list<MeshNode>('nodes');
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

  examples(group.command('show <node>').description('one node'), 'isthmus node show eu').action(async (id: string) => {
    const node = await (await cli.client()).get<MeshNode>(path('nodes', id));
    cli.show(node, () =>
      renderRecord({
        node: node.id,
        role: node.role,
        site: node.site,
        'parents (in order)': parentsText(node.parents),
        state: node.state,
        'certificate ends': moment(node.certificateNotAfter),
        version: node.softwareVersion,
        'last seen': moment(node.lastSeenAt),
      }),
    );
  });

  const revoke = group
    .command('revoke <node>')
    .description('shut a node out of the mesh, within seconds and for good')
    .option('--yes', 'do not ask');
  examples(revoke, 'isthmus node revoke eu-1 --yes').action(async (id: string, options: { yes?: boolean }) => {
    await confirm(cli.terminal, `Revoke ${id}? It must join again to come back.`, options.yes);
    const { body } = await (await cli.client()).post<MeshNode>(path('nodes', id, 'revoke'));
    cli.show(body, () => `${id} is revoked`);
  });
}
