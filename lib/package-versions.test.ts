// Versions as NuGet and SemVer 2 read them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, normaliseVersion, packageIdKey, parseVersion, versionKey } from './package-versions.ts';

describe('normalising', () => {
  it.each([
    ['01.0', '1.0.0'],
    ['1', '1.0.0'],
    ['1.0.0.0', '1.0.0'],
    ['1.2.3.4', '1.2.3.4'],
    ['1.0.0+meta', '1.0.0'],
    ['1.00.01-RC.1+build.7', '1.0.1-RC.1'],
    ['0010.020.0030.00', '10.20.30'],
  ])('%s is %s', (given, normal) => expect(normaliseVersion(given)).toBe(normal));

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
    '99999999999',
    '1,0',
  ])('%j is no version', (given) => {
    expect(parseVersion(given)).toBeUndefined();
    expect(() => normaliseVersion(given)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD', field: 'version' }));
  });

  it('is found whatever the case of its labels', () => expect(versionKey('1.0-RC1')).toBe(versionKey('01.0.0-rc1+x')));

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

  const version = fc
    .tuple(
      fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.stringMatching(/^[0-9a-zA-Z-]{1,4}$/), { maxLength: 3 }),
    )
    .map(([numbers, labels]) => numbers.join('.') + (labels.length === 0 ? '' : `-${labels.join('.')}`));

  it('is a total order that normalising does not change', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
        expect(compareVersions(a, normaliseVersion(a))).toBe(0);
        expect(normaliseVersion(normaliseVersion(a))).toBe(normaliseVersion(a));
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
