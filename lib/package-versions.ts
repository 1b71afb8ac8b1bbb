// Parses and orders package versions as NuGet does: one to four numbers and SemVer 2 labels (`semver` knows only three).
import { IsthmusError } from '../contract/errors.ts';
import { LONGEST_VERSION, PACKAGE_ID_IN_WORDS, PACKAGE_ID_PATTERN } from '../contract/patterns.ts';
import { compareText } from './text/compare.ts';

export interface PackageVersion {
  /** Always four; missing ones are 0. */
  readonly numbers: readonly [bigint, bigint, bigint, bigint];
  /** The identifiers after `-`; empty for a release. */
  readonly labels: readonly string[];
}

const SHAPE = /^(\d+(?:\.\d+){0,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const PACKAGE_ID = new RegExp(PACKAGE_ID_PATTERN);

/** Reads a version; undefined when it is not one. Build metadata (`+…`) does not count. */
export function parseVersion(text: string): PackageVersion | undefined {
  const match = text.length > LONGEST_VERSION ? null : SHAPE.exec(text);
  if (match === null) return undefined;
  const [major = 0n, minor = 0n, patch = 0n, revision = 0n] = match[1]!.split('.').map(BigInt);
  return { numbers: [major, minor, patch, revision], labels: match[2]?.split('.') ?? [] };
}

/**
 * The key by which a version is found, however it is spelled: NuGet's form in lower case. `01.0`, `1.0.0.0` and
 * `1.0.0+5` are `1.0.0`, `1.0-RC.01` is `1.0.0-rc.1`. INVALID_FIELD when it is no version.
 */
export function versionKey(text: string, field = 'version'): string {
  const version = parseVersion(text);
  if (version === undefined) {
    const reason =
      text.length > LONGEST_VERSION
        ? `a version has at most ${LONGEST_VERSION} characters`
        : 'this is not a version: one to four numbers, then -labels and +metadata';
    throw new IsthmusError('INVALID_FIELD', reason, { field, remedy: 'Write it like 1.2.0 or 1.2.0-rc.1.' });
  }
  const [major, minor, patch, revision] = version.numbers;
  const numbers = revision === 0n ? [major, minor, patch] : [major, minor, patch, revision];
  const labels = version.labels.map((label) => (isNumber(label) ? String(BigInt(label)) : label.toLowerCase()));
  return numbers.join('.') + (labels.length === 0 ? '' : `-${labels.join('.')}`);
}

/** The key by which a package is found; INVALID_FIELD when it is no package id. */
export function packageIdKey(id: string): string {
  if (!PACKAGE_ID.test(id)) {
    throw new IsthmusError('INVALID_FIELD', `id ${PACKAGE_ID_IN_WORDS}`, { field: 'id' });
  }
  return id.toLowerCase();
}

/** Orders two versions, the lower first. Text that is not a version comes before every version. */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (left === undefined || right === undefined) {
    return Number(left !== undefined) - Number(right !== undefined) || compareText(a, b);
  }
  for (const [index, number] of left.numbers.entries()) {
    const difference = compareNumbers(number, right.numbers[index]!);
    if (difference !== 0) return difference;
  }
  return compareLabels(left.labels, right.labels);
}

/** SemVer 2 §11: a release is above its pre-releases, numbers are below words, fewer labels are below more. */
function compareLabels(left: readonly string[], right: readonly string[]): number {
  if (left.length === 0 || right.length === 0) return right.length - left.length;
  for (const [index, label] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    const difference = compareLabel(label, other);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function compareLabel(a: string, b: string): number {
  if (isNumber(a) !== isNumber(b)) return isNumber(a) ? -1 : 1;
  return isNumber(a) ? compareNumbers(BigInt(a), BigInt(b)) : compareText(a.toLowerCase(), b.toLowerCase());
}

/** A date with time has more digits than a number can hold. */
function compareNumbers(left: bigint, right: bigint): number {
  return left < right ? -1 : Number(left > right);
}

function isNumber(label: string): boolean {
  return /^\d+$/.test(label);
}

/**
 * The one of the highest version, undefined of none. A version without labels counts as later than any with labels: a
 * pre-release must be requested.
 */
export function latestVersion<Entry extends { readonly version: string }>(
  entries: readonly Entry[],
): Entry | undefined {
  const isLabelled = ({ version }: Entry) => (parseVersion(version)?.labels.length ?? 0) > 0;
  const stable = entries.filter((entry) => !isLabelled(entry));
  const candidates = stable.length > 0 ? stable : entries;
  return candidates.toSorted((a, b) => compareVersions(b.version, a.version))[0];
}
