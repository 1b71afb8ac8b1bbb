// Checks the names of an archive's entries: each must be unique, and a path below the package root.
import { IsthmusError } from '../../contract/errors.ts';

const LONGEST_PART_BYTES = 255;
const LONGEST_PATH_BYTES = 1024;

/** Decodes the bytes of a name; PACKAGE_NAME when they are not UTF-8. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new IsthmusError(
      'PACKAGE_NAME',
      `the name of an entry is not valid UTF-8: ${shown(Buffer.from(bytes).toString('latin1'))}`,
      { cause },
    );
  }
}

/** Splits an entry's name into the parts of a path below the package root; throws when it leaves it. */
export function entryPath(name: string): string[] {
  // A reader replaces bytes that are not UTF-8 by U+FFFD.
  if (hasControlCharacter(name) || name.includes('\ufffd') || !name.isWellFormed()) {
    throw new IsthmusError(
      'PACKAGE_NAME',
      `an entry has a control character or invalid text in its name: ${shown(name)}`,
    );
  }
  // A backslash is a character like others here; but on Windows no name leaves the package by it, either.
  const anywhere = name.split(/[/\\]/);
  if (anywhere[0] === '' && name !== '') rejectEscape(name);
  if (/^[A-Za-z]:/.test(name) || anywhere.includes('..')) rejectEscape(name);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (
    Buffer.byteLength(name) > LONGEST_PATH_BYTES ||
    parts.some((part) => Buffer.byteLength(part) > LONGEST_PART_BYTES)
  ) {
    throw new IsthmusError('PACKAGE_NAME', `the name of an entry is too long: ${shown(name)}`);
  }
  return parts;
}

/** Whether a text has a control character: no name needs one, and some terminal or parser obeys it. */
export function hasControlCharacter(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

function rejectEscape(name: string): never {
  throw new IsthmusError('PACKAGE_PATH_ESCAPE', `the name of an entry could lead outside the package: ${shown(name)}`);
}

/** The name in a form that is safe in an error message. */
export function shown(name: string): string {
  const short = name.length > 120 ? `${name.slice(0, 120)}…` : name;
  return JSON.stringify(short).replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?');
}

type Kind = 'file' | 'folder' | 'link';

/** The names of one archive. Whether names that differ in case only are two files is the file system's to decide. */
export class EntryNames {
  readonly #seen = new Map<string, Kind>();

  /** Admits an entry; returns the folders that must be created before it, outermost first. */
  admit(parts: readonly string[], kind: Kind): string[] {
    const missing: string[] = [];
    for (let depth = 1; depth < parts.length; depth += 1) {
      const folder = parts.slice(0, depth).join('/');
      if (this.#enter(folder, 'folder')) missing.push(folder);
    }
    const path = parts.join('/');
    const fresh = this.#enter(path, kind);
    if (!fresh && kind !== 'folder') rejectTwice(path);
    if (fresh && kind === 'folder') missing.push(path);
    return missing;
  }

  /** Whether an entry before has this name and is a file. */
  isFile(path: string): boolean {
    return this.#seen.get(path) === 'file';
  }

  /** Adds a name; returns whether it is new. A folder may occur again. */
  #enter(path: string, kind: Kind): boolean {
    const before = this.#seen.get(path);
    if (before !== undefined && before !== kind) {
      if (before !== 'file' && kind !== 'file') rejectThroughLink(path);
      rejectTwice(path);
    }
    this.#seen.set(path, kind);
    return before === undefined;
  }
}

function rejectTwice(path: string): never {
  throw new IsthmusError('PACKAGE_NAME', `two entries are the same file: ${shown(path)}`);
}

function rejectThroughLink(path: string): never {
  throw new IsthmusError('PACKAGE_LINK', `an entry would be written through the link ${shown(path)}`);
}
