// Strict JSON (I-JSON, RFC 7493): one value of bounded depth, no duplicate key, no key that could reach a prototype,
// and only text that UTF-8 can encode. JSON.parse silently keeps the last of two equal keys, so that two readers of one
// body may see two requests; half a surrogate pair would come back from the store as another character.
import { IsthmusError } from '../../contract/errors.ts';

/** Deeper than any schema here, and shallow enough that no recursive reader of the value overflows its stack. */
const MAX_DEPTH = 32;

/** Half a surrogate pair can only come in an escape: UTF-8 has none. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** Parses a JSON text. Throws MALFORMED_BODY when it is not strict. */
export function parseStrictJson(bytes: Buffer): unknown {
  const text = decode(bytes);
  scan(text);
  try {
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    throw malformed('the body is not JSON', thrown);
  }
}

function decode(bytes: Buffer): string {
  try {
    // Windows tools begin a file with a byte order mark, which a reader may leave out (RFC 8259, section 8.1).
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw malformed('the body is not UTF-8', thrown);
  }
}

/** Checks structure and keys only; JSON.parse checks the grammar afterwards. */
function scan(text: string): void {
  /** The keys of each enclosing object; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = endOfString(text, at);
      const token = text.slice(at, end);
      if (SURROGATE_ESCAPE.test(token) && !read(token).isWellFormed()) throw malformed('the body has half a character');
      if (isKey(text, end)) addKey(open.at(-1), token);
      at = end - 1;
    }
    if (open.length > MAX_DEPTH) throw malformed(`the body is nested deeper than ${MAX_DEPTH}`);
  }
}

/** The index after the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  throw malformed('the body ends inside a string');
}

function isKey(text: string, after: number): boolean {
  let at = after;
  while (at < text.length && ' \t\n\r'.includes(text[at]!)) at += 1;
  return text[at] === ':';
}

/** The value of a JSON string token. */
function read(token: string): string {
  try {
    return JSON.parse(token) as string;
  } catch (thrown) {
    throw malformed('the body is not JSON', thrown);
  }
}

function addKey(keys: Set<string> | undefined, token: string): void {
  const key = read(token);
  if (keys === undefined) throw malformed('the body is not JSON');
  if (FORBIDDEN_KEYS.has(key)) throw malformed('the body has a key that no object may have', undefined, key);
  if (keys.has(key)) throw malformed('the body has a key twice', undefined, key);
  keys.add(key);
}

function malformed(reason: string, cause?: unknown, field?: string): IsthmusError {
  return new IsthmusError('MALFORMED_BODY', reason, { cause, field });
}
