// Versions as NuGet and SemVer 2 read them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, packageIdKey, parseVersion, versionKey } from './package-versions.ts';

describe('the key of a version', () => {
  it.each([
    ['01.0', '1.0.0'],
    ['1', '1.0.0'],
    ['1.0.0.0', '1.0.0'],
    ['1.2.3.4', '1.2.3.4'],
    ['1.0.0+meta', '1.0.0'],
    ['1.00.01-RC.1+build.7', '1.0.1-rc.1'],
    ['1.0-rc.01', '1.0.0-rc.1'],
    ['2026.09.02', '2026.9.2'],
    ['1.20261130073259123456789.0', '1.20261130073259123456789.0'],
    ['4294967296', '4294967296.0.0'],
    ['0010.020.0030.00', '10.20.30'],
  ])('%s is %s', (given, key) => expect(versionKey(given)).toBe(key));

  it.each([
    '',
    'v1.0',
    '1.0.0.0.0',
    '1..0',
    '1.0-',
    '1.0-a..b',
    '1.0+',
    '-1.0',
    '1.0/../..',
    '1.0\n',
    '1.0.0\u0661',
    '1,0',
  ])('%j is no version', (given) => {
    expect(parseVersion(given)).toBeUndefined();
    expect(() => versionKey(given)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD', field: 'version' }));
  });

  it('says that a version is too long, rather than none', () => {
    expect(() => versionKey('1'.repeat(100))).not.toThrow();
    expect(() => versionKey('1'.repeat(101), 'release')).toThrow(
      expect.objectContaining({
        code: 'INVALID_FIELD',
        field: 'release',
        message: 'a version has at most 100 characters',
      }),
    );
  });

  it('rejects ids that are paths', () => {
    expect(packageIdKey('Acme.Web')).toBe('acme.web');
    for (const id of ['', '..', '../x', 'a/b', 'a b', '.hidden', 'x'.repeat(101)]) {
      expect(() => packageIdKey(id)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD', field: 'id' }));
    }
  });
});

describe('ordering', () => {
  it('follows SemVer 2, with a fourth number', () => {
    const rising = [
      '0.9', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11',
      '1.0.0-rc.1', '1.0.0', '1.0.0.1', '1.0.1', '1.2', '1.10', '2.0.0-1', '2',
    ]; // prettier-ignore
    for (const [i, low] of rising.entries()) {
      for (const high of rising.slice(i + 1)) {
        expect(compareVersions(low, high), `${low} < ${high}`).toBeLessThan(0);
        expect(compareVersions(high, low), `${high} > ${low}`).toBeGreaterThan(0);
      }
    }
    expect(compareVersions('1.0-RC', '1.0.0.0-rc+5')).toBe(0);
    expect(compareVersions('1.0-20260101120000000001', '1.0-20260101120000000002')).toBeLessThan(0);
  });

  const number = fc.oneof(fc.nat({ max: 30 }).map(String), fc.stringMatching(/^0{0,2}[0-9]{1,25}$/));
  const version = fc
    .tuple(
      fc.array(number, { minLength: 1, maxLength: 4 }),
      fc.array(fc.oneof(fc.stringMatching(/^[0-9a-zA-Z-]{1,4}$/), fc.stringMatching(/^0?[01]$/)), { maxLength: 3 }),
    )
    .map(([numbers, labels]) => numbers.join('.') + (labels.length === 0 ? '' : `-${labels.join('.')}`));

  it('is a total order, in which what has the same key is equal', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
        expect(compareVersions(a, versionKey(a))).toBe(0);
        expect(versionKey(versionKey(a))).toBe(versionKey(a));
        expect(compareVersions(a, b) === 0).toBe(versionKey(a) === versionKey(b));
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
