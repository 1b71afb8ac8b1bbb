// Environments: the targets of deployments. An environment cannot be deleted while a machine is in it, or a variable or a
// join token names it.
import type { RemedyAction } from '../../contract/errors.ts';
import { noSuch, type Reference } from '../store/references.ts';
import type { StoreTransaction } from '../store/store.ts';
import { entriesOf } from './entries.ts';
import { openTokens, scopedVariables } from './references.ts';

export const environments = entriesOf({
  kind: 'environment',
  rows: (tx) => tx.environments,
  async referencesTo(tx, environment) {
    const machines = await tx.machines.select({ environments: [environment] });
    return [
      ...machines.map(({ id }): Reference => {
        const action: RemedyAction = { code: 'SET_ENVIRONMENTS', arguments: { machines: id } };
        return { text: `machine ${id}`, remedy: 'Put it into other environments first.', action };
      }),
      ...(await scopedVariables(tx, 'environment', environment)),
      ...(await openTokens(tx, ({ environments: named }) => named.includes(environment))),
    ];
  },
});

/** Throws INVALID_FIELD, naming the entry, unless every environment exists. */
export async function checkEnvironments(
  tx: StoreTransaction,
  ids: readonly string[],
  field = 'environments',
): Promise<void> {
  for (const [index, id] of ids.entries()) {
    if ((await tx.environments.find(id)) === undefined) throw noSuch('environment', id, `${field}[${index}]`);
  }
}
