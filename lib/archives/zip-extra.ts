// The extra fields of a zip's headers that change what readers find in it.
import { parseExtraFields } from 'yauzl';
import { lie } from './zip-end.ts';

export const EXTRA = { zip64: 0x0001, asiUnix: 0x756e, unicodePath: 0x7075 };

/** The data of all fields of a kind. */
export function extraFields(extra: Buffer, kind: number): Buffer[] {
  return parseExtraFields(extra).flatMap(({ id, data }) => (id === kind ? [data] : []));
}

/** PACKAGE_FORMAT for a header with two sizes or modes: one reader takes the first, another the last. */
export function rejectTwins(extra: Buffer): void {
  for (const kind of [EXTRA.zip64, EXTRA.asiUnix]) {
    if (extraFields(extra, kind).length > 1) throw lie('an entry has two extra fields that tell the same');
  }
}
