// Parses and orders package versions as NuGet does: one to four numbers and SemVer 2 labels (`semver` knows only three).
import { IsthmusError } from '../contract/errors.ts';
import { PACKAGE_ID_IN_WORDS, PACKAGE_ID_PATTERN } from '../contract/patterns.ts';
import { compareText } from './text/compare.ts';

export interface PackageVersion {
  /** Always four; missing ones are 0. */
  readonly numbers: readonly [number, number, number, number];
  /** The identifiers after `-`; empty for a release. */
  readonly labels: readonly string[];
}

const SHAPE =
  /^(\d{1,10}(?:\.\d{1,10}){0,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const LONGEST_VERSION = 100;
const PACKAGE_ID = new RegExp(PACKAGE_ID_PATTERN);

/** Reads a version; undefined when it is not one. Build metadata (`+…`) does not count. */
export function parseVersion(text: string): PackageVersion | undefined {
  const match = text.length > LONGEST_VERSION ? null : SHAPE.exec(text);
  if (match === null) return undefined;
  const given = match[1]!.split('.').map(Number);
  if (given.some((number) => number > 0x7fffffff)) return undefined;
  const [major = 0, minor = 0, patch = 0, revision = 0] = given;
  return { numbers: [major, minor, patch, revision], labels: match[2]?.split('.') ?? [] };
}

/** The one spelling of a version: `01.0` is `1.0.0`, `1.0.0.0` is `1.0.0`, `1.0-RC+5` is `1.0.0-RC`. */
export function normaliseVersion(text: string): string {
  const version = parseVersion(text);
  if (version === undefined) {
    throw new IsthmusError('INVALID_FIELD', 'this is not a version: one to four numbers, then -labels and +metadata', {
      field: 'version',
    });
  }
  const [major, minor, patch, revision] = version.numbers;
  const numbers = revision === 0 ? [major, minor, patch] : [major, minor, patch, revision];
  return numbers.join('.') + (version.labels.length === 0 ? '' : `-${version.labels.join('.')}`);
}

/** The key by which a version is found: labels that differ only in case are equal. */
export function versionKey(text: string): string {
  return normaliseVersion(text).toLowerCase();
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
    const difference = number - right.numbers[index]!;
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
  const numericA = /^\d+$/.test(a);
  const numericB = /^\d+$/.test(b);
  if (numericA !== numericB) return numericA ? -1 : 1;
  if (!numericA) return compareText(a.toLowerCase(), b.toLowerCase());
  // A date with time has more digits than a number can hold.
  const [left, right] = [BigInt(a), BigInt(b)];
  return left < right ? -1 : Number(left > right);
}
