// Sites: where nodes are. A site cannot be deleted while a node, revoked or not, belongs to it, or a join token names it.
import { entriesOf } from './entries.ts';
import { openTokens } from './references.ts';

export const sites = entriesOf({
  kind: 'site',
  rows: (tx) => tx.sites,
  async usersOf(tx, site) {
    const nodes = await tx.nodes.all({ site });
    return [
      ...nodes.map(({ id, state }) => `node ${id}${state === 'revoked' ? ' (revoked)' : ''}`),
      ...(await openTokens(tx, (token) => token.site === site)),
    ];
  },
});
