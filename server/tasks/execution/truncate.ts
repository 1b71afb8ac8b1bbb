// What a machine says beside its log is stored and shown. A tentacle that has turned can say 4 MiB in each message, and
// nobody reads more than this.
const LONGEST_TEXT = 1024;
const LONGEST_LIST = 32;

/** The message with every text cut to 1,024 characters and every list to 32 entries, however deep. */
export function truncate<Said>(said: Said): Said {
  return cut(said) as Said;
}

function cut(said: unknown): unknown {
  if (typeof said === 'string') return said.slice(0, LONGEST_TEXT).toWellFormed();
  if (Array.isArray(said)) return said.slice(0, LONGEST_LIST).map(cut);
  if (typeof said !== 'object' || said === null) return said;
  return Object.fromEntries(Object.entries(said).map(([key, value]) => [key, cut(value)]));
}
