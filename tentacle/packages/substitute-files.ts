// Substitutes variables in the files of an unpacked release that the step names by pattern. What it could not do, and
// what a file's owner should know, are warnings.
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path/posix';
import { Minimatch } from 'minimatch';
import { IsthmusError } from '../../contract/errors.ts';
import type { TextEncoding } from '../../contract/text-encodings.ts';
import { lineAt } from '../../lib/templates/parse.ts';
import { substitute, type Unresolved } from '../../lib/templates/substitution.ts';
import { compareText } from '../../lib/text/compare.ts';
import { decodeFile, encodeFile, type DecodedText } from '../../lib/text/encodings.ts';
import { secretMask } from './ownership.ts';
import type { PackageOrder } from './payload.ts';
import { withReadable } from './readable.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** The part of an order that says what to substitute, and where. */
export type Substitution = Pick<PackageOrder, 'substitute' | 'variables' | 'sensitiveNames' | 'fileRules'>;

/** Something to tell about one file of a release, or about a pattern. */
export interface PackageWarning {
  readonly kind: Unresolved['kind'] | 'no-match' | 'not-text' | 'binary' | 'sensitive';
  /** Below the package root; empty for a pattern. */
  readonly file: string;
  /** From 1; 0 for the whole file. */
  readonly line: number;
  readonly text: string;
}

/** How many binary files are named. */
const MOST_NAMED_FILES = 5;

/** What text in UTF-32 begins with, and where an expression begins in UTF-16. */
const UTF_32_MARKS = [Buffer.from([0xff, 0xfe, 0, 0]), Buffer.from([0, 0, 0xfe, 0xff])];
const UTF_16_OPENINGS = ['#\0{\0', '\0#\0{'];
/** An expression, in any encoding that extends ASCII. */
const EXPRESSION = /#\{[\w.:[\]| -]+\}/;

/** A configuration file is small; a pattern that matches a larger one is a mistake. */
const LARGEST_SUBSTITUTED_BYTES = 10 * 1024 * 1024;

/**
 * Substitutes the variables of an order in the files below `root` that its rules match; of several rules the first
 * counts. SUBSTITUTION_ENCODING for a value that a file's encoding lacks, VARIABLE_SYNTAX with file and line.
 */
export async function substituteFiles(
  root: string,
  order: Substitution,
  signal?: AbortSignal,
): Promise<readonly PackageWarning[]> {
  if (order.substitute.length === 0) return [];
  const rules = order.substitute.map(({ pattern, encoding }) => {
    const matcher = new Minimatch(pattern, { dot: true, nocomment: true, nonegate: true, platform: 'linux' });
    return { pattern, encoding, matcher, matched: false };
  });
  const warnings: PackageWarning[] = [];
  const binary: string[] = [];
  for (const name of await filesBelow(root)) {
    signal?.throwIfAborted();
    const matching = rules.filter(({ matcher }) => matcher.match(name));
    for (const rule of matching) rule.matched = true;
    const [first] = matching;
    if (first === undefined) continue;
    const told = await substituteFile(root, name, first.encoding, order);
    if (told === 'binary') binary.push(name);
    else warnings.push(...told);
  }
  for (const { pattern, matched } of rules) {
    if (!matched) warnings.push({ kind: 'no-match', file: '', line: 0, text: `no file matches ${pattern}` });
  }
  if (binary.length > 0) warnings.push({ kind: 'binary', file: '', line: 0, text: leftAsBinary(binary) });
  return warnings;
}

/** Regular files; a link is never followed. */
async function filesBelow(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(root, join(entry.parentPath, entry.name))).toSorted(compareText);
}

async function substituteFile(
  root: string,
  name: string,
  declared: TextEncoding,
  order: Substitution,
): Promise<readonly PackageWarning[] | 'binary'> {
  const path = join(root, name);
  const { bytes, mode } = await read(path, name);
  const before = decodeFile(bytes, declared);
  if (before === undefined) {
    const text = `is not text in ${declared}: nothing was substituted in it`;
    return looksLikeText(bytes) ? [{ kind: 'not-text', file: name, line: 0, text }] : 'binary';
  }
  const { text, usedNames, unresolved } = substituted(before.text, name, order);
  const warnings = unresolved.map((left) => warningOf(left, name));
  if (text === before.text) return warnings;
  const takesSecret = order.sensitiveNames.some((each) => usedNames.has(each));
  await replace(path, encoded({ ...before, text }, name), takesSecret ? mode & secretMask(order.fileRules) : mode);
  if (!takesSecret) return warnings;
  const readers = order.fileRules.group === undefined ? 'its owner' : 'its owner and group';
  const said = `took in a sensitive value: only ${readers} may read it`;
  return [...warnings, { kind: 'sensitive', file: name, line: 0, text: said }];
}

async function read(path: string, name: string): Promise<{ readonly bytes: Buffer; readonly mode: Stats['mode'] }> {
  return withReadable(path, async (file, { size, mode }) => {
    if (size > LARGEST_SUBSTITUTED_BYTES) {
      throw new IsthmusError('INVALID_FIELD', `${name} is too large to substitute variables in`, {
        field: 'substituteIn',
      });
    }
    return { bytes: await file.readFile(), mode: mode & 0o777 };
  });
}

/** The answer of `substitute`; its error names the file. */
function substituted(text: string, name: string, { variables }: Substitution): ReturnType<typeof substitute> {
  try {
    return substitute(text, variables);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError)) throw thrown;
    const { code, message, field } = thrown;
    throw new IsthmusError(code, `${name}: ${message}`, { field, cause: thrown });
  }
}

/** A value that does not fit fails the step: written otherwise, it would be another one. */
function encoded(after: DecodedText, name: string): Buffer {
  const bytes = encodeFile(after);
  if (Buffer.isBuffer(bytes)) return bytes;
  const line = lineAt(after.text, bytes.lacksAt);
  throw new IsthmusError(
    'SUBSTITUTION_ENCODING',
    `${name}, line ${line}: ${after.encoding} lacks a character of a value`,
  );
}

/** A new file takes the place of the old one, whose other names keep the old content. */
async function replace(path: string, bytes: Buffer, mode: number): Promise<void> {
  const created = join(dirname(path), `.isthmus-${randomBytes(8).toString('hex')}`);
  const file = await open(created, NEW_FILE, 0o600);
  try {
    await file.writeFile(bytes);
    await file.chmod(mode);
    await file.sync();
    await rename(created, path);
  } catch (thrown) {
    await rm(created, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}

function warningOf({ kind, text, lines, hasMore }: Unresolved, file: string): PackageWarning {
  const [line = 0, ...others] = lines;
  const also = `(also in ${others.length === 1 ? 'line' : 'lines'} ${others.join(', ')}${hasMore ? ' and more' : ''})`;
  return { kind, file, line, text: others.length === 0 ? text : `${text} ${also}` };
}

/** Whether somebody may expect substitution in it: a wide pattern also matches pictures, which are told together. */
function looksLikeText(bytes: Buffer): boolean {
  if (!bytes.includes(0) || UTF_16_OPENINGS.some((opening) => bytes.includes(opening))) return true;
  if (UTF_32_MARKS.some((mark) => bytes.subarray(0, mark.length).equals(mark))) return true;
  return EXPRESSION.test(bytes.toString('latin1'));
}

function leftAsBinary(names: readonly string[]): string {
  const left = names.length - MOST_NAMED_FILES;
  const more = left > 0 ? ` and ${left} more` : '';
  return `nothing was substituted in what is binary: ${names.slice(0, MOST_NAMED_FILES).join(', ')}${more}`;
}
