// When the file of a zip's entry was last modified.
import type { Entry } from 'yauzl';

/** The extra field of Info-ZIP: flags, then times as seconds since 1970. */
const UNIVERSAL_TIME = 0x5455;
const HAS_MODIFIED = 0x01;

/** The time that an entry tells of; undefined when it tells none. */
export function modifiedAt(entry: Entry): Date | undefined {
  const field = entry.extraFields.find(({ id, data }) => id === UNIVERSAL_TIME && data.length >= 5)?.data;
  if (field !== undefined && (field.readUInt8() & HAS_MODIFIED) !== 0) {
    // Unsigned, though its definition says signed: packages are from after 2038 sooner than from before 1970.
    return new Date(field.readUInt32LE(1) * 1000);
  }
  return entry.lastModFileDate === 0 ? undefined : entry.getLastModDate();
}
