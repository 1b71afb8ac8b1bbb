// Sites: where nodes are. A site cannot be deleted while a node, revoked or not, belongs to it, or a join token names it.
import { entriesOf } from './entries.ts';
import type { Reference } from '../store/references.ts';
import { namedSources, openTokens } from './references.ts';

export const sites = entriesOf({
  kind: 'site',
  rows: (tx) => tx.sites,
  async referencesTo(tx, site) {
    const nodes = await tx.nodes.all({ site });
    return [
      ...nodes.map(({ id, state }): Reference => {
        const text = `node ${id}${state === 'revoked' ? ' (revoked)' : ''}`;
        return { text, remedy: 'Keep it: a site with a node, also a revoked one, cannot be deleted.' };
      }),
      ...(await openTokens(tx, (token) => token.site === site)),
      ...(await namedSources(tx, 'sites', site)),
    ];
  },
});
