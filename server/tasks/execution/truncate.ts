// Truncates what a machine sends beside its log before it is stored and shown: a compromised tentacle can put 4 MiB
// into each message.
const LONGEST_TEXT = 1024;
const LONGEST_LIST = 32;

/** The message with every text cut to 1,024 characters and every list to 32 entries, however deep. */
export function truncate<Message>(message: Message): Message {
  return cut(message) as Message;
}

function cut(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, LONGEST_TEXT).toWellFormed();
  if (Array.isArray(value)) return value.slice(0, LONGEST_LIST).map(cut);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, cut(each)]));
}
