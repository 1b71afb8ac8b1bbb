// What a deletion removes, as lines.
import type { Deletion } from '../../contract/deletions.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { escapeText } from './escape.ts';

/** One line for each thing that goes or went, and one for what is then unused. */
export function deletionLines({ dryRun, deleted, freedBytes, unused }: Deletion): string[] {
  const verb = dryRun ? 'would be deleted' : 'deleted';
  const freed = freedBytes === 0 ? [] : [`${bytes(freedBytes)} ${dryRun ? 'would be free' : 'are free'} on the server`];
  if (deleted.length === 0) return ['nothing to delete'];
  return [
    ...deleted.map(({ kind, name }) => escapeText(`${kind} ${name} ${verb}`)),
    ...freed,
    ...unused.map(({ id, version, sizeBytes }) =>
      escapeText(`no other release uses package ${id} ${version} (${bytes(sizeBytes)})`),
    ),
  ];
}
