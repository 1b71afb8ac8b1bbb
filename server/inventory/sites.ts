// Sites: where nodes are. A site cannot be deleted while a node, revoked or not, belongs to it.
import { entriesOf } from './entries.ts';

export const sites = entriesOf({
  kind: 'site',
  rows: (tx) => tx.sites,
  async usersOf(tx, site) {
    const nodes = await tx.nodes.all({ site });
    return nodes.map(({ id, state }) => `node ${id}${state === 'revoked' ? ' (revoked)' : ''}`);
  },
});
