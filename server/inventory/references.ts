// What refers to a site, an environment or a machine besides machines and nodes: it would be left with a name that is not
// there, or would make a machine that cannot be.
import type { ScopeDimension } from '../store/schema.ts';
import type { Reference } from '../store/references.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { StoreTransaction } from '../store/store.ts';

/** The variables whose scope names this value. */
export async function scopedVariables(
  tx: StoreTransaction,
  dimension: ScopeDimension,
  value: string,
): Promise<Reference[]> {
  const variables = await tx.variables.scopedTo(dimension, value);
  return variables.map(({ id, project, name }) => ({
    text: `variable ${name} of project ${project}`,
    action: { code: 'DELETE_VARIABLE', arguments: { project, variable: id } },
  }));
}

/** The package sources that are named for this machine or site. */
export async function namedSources(tx: StoreTransaction, by: 'machines' | 'sites', id: string): Promise<Reference[]> {
  const sources = (await tx.packageSources.all()).filter((source) => source[by].includes(id));
  const remedy = 'Delete the package source, or create it again without that name.';
  return sources.map((source) => ({ text: `package source ${source.id}`, remedy }));
}

/** The join tokens that can still be used and that `matches` picks. */
export async function openTokens(tx: StoreTransaction, matches: (token: JoinToken) => boolean): Promise<Reference[]> {
  const tokens = await tx.tokens.open(Date.now());
  return tokens.filter(matches).map(({ id }) => ({
    text: `join token ${id}`,
    action: { code: 'REVOKE_TOKEN', arguments: { token: id } },
  }));
}
