// The line masker: multi-line values and wrapped forms, from the first line or resumed at any later one.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMasker, MASK_TEXT } from './masker.ts';

/** A key as programs write it; its first line is public, as such lines are. */
const pem = [
  '-----BEGIN PRIVATE KEY-----',
  'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj',
  'MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu',
  'Fg=',
  '-----END PRIVATE KEY-----',
  '',
].join('\n');

const wrapAt = (columns: number, text: string) => text.replaceAll(new RegExp(`.{${columns}}`, 'g'), '$&\n');

const printers: Record<string, (value: string) => string> = {
  raw: (value) => value,
  base64: (value) => wrapAt(76, Buffer.from(value).toString('base64')),
  'narrow base64': (value) => wrapAt(20, Buffer.from(value).toString('base64')),
  hex: (value) => wrapAt(32, Buffer.from(value).toString('hex')),
};

/** The longest stretch of `shown` that is also in `printed`, line breaks and padding apart. */
function longestShown(shown: string, printed: string): number {
  const secret = printed.replaceAll(/[\n=]/g, '');
  const offsets = [...shown].map((_, at) => at);
  const length = (at: number): number => {
    let end = at;
    while (end < shown.length && secret.includes(shown.slice(at, end + 1))) end += 1;
    return end - at;
  };
  return Math.max(0, ...offsets.map(length));
}

function masked(values: readonly string[], lines: readonly string[], resumed = false): string[] {
  const masker = createMasker(values).lines({ resumed });
  return lines.map((line) => masker.next(line, 'newline'));
}

describe('line by line', () => {
  test('masks every line of a value of several lines, short ones too', () => {
    const lines = ['before', ...pem.trimEnd().split('\n'), 'after'];
    expect(masked([pem], lines)).toEqual(['before', ...Array.from({ length: 5 }, () => MASK_TEXT), 'after']);
  });

  test('a line that only ends like the beginning of a value is shown', () => {
    expect(masked(['postgres://user:secret@host'], ['starting postgres', 'done'])).toEqual([
      'starting postgres',
      'done',
    ]);
  });

  test('finds a value whose lines are all too short to be masked by themselves', () => {
    const lines = ['ab', 'cd', 'ef', 'gh', 'ij', 'cd'];
    expect(masked(['ab\ncd\nef\ngh'], lines)).toEqual(['ab', MASK_TEXT, MASK_TEXT, MASK_TEXT, 'ij', 'cd']);
  });

  test.each(Object.keys(printers))('shows nothing of a key printed as %s', (printer) => {
    const printed = printers[printer]!(pem);
    const output = masked([pem], ['key:', ...printed.split('\n'), 'done']);
    expect(output[0]).toBe('key:');
    expect(output.at(-1)).toBe('done');
    expect(output.slice(1, -1).every((line) => longestShown(line, printed) < 4)).toBe(true);
  });

  test('continues in the middle of a key, resumed at any line', () => {
    for (const printer of Object.keys(printers)) {
      const printed = printers[printer]!(pem);
      const lines = printed.split('\n');
      for (let from = 1; from < lines.length; from += 1) {
        const output = masked([pem], [...lines.slice(from), 'done'], true);
        expect(output.at(-1)).toBe('done');
        for (const line of output.slice(0, -1)) expect(longestShown(line, printed)).toBeLessThan(4);
      }
    }
  });

  test('shows text without values, resumed or not', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ghijklmnop qrstuvwxyz'), maxLength: 60 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 20 }), fc.boolean(), (lines, resumed) => {
        expect(masked(['0123-ABCD-4567'], lines, resumed)).toEqual(lines);
      }),
    );
  });

  test('shows at most a few characters of random values in random lines, resumed anywhere', () => {
    const value = fc.string({ unit: fc.constantFrom(...'ABCDEFGH0123456789'), minLength: 40, maxLength: 120 });
    fc.assert(
      fc.property(value, fc.constantFrom('base64', 'narrow base64', 'hex'), fc.nat(20), (secret, printer, at) => {
        const printed = printers[printer]!(secret);
        const lines = printed.split('\n');
        const from = at % lines.length;
        const output = masked([secret], lines.slice(from), from > 0);
        for (const line of output) expect(longestShown(line, printed)).toBeLessThan(4);
      }),
      { numRuns: 200 },
    );
  });

  test('masks a value in the parts of an open line, wherever it is divided', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ijklmnop '), maxLength: 20 });
    const value = fc.string({ unit: fc.constantFrom(...'ABCDEFGH0123456789'), minLength: 8, maxLength: 40 });
    const cuts = fc.array(fc.nat(80), { maxLength: 12 }).map((all) => [...new Set(all)].sort((a, b) => a - b));
    fc.assert(
      fc.property(text, value, text, cuts, (before, secret, after, at) => {
        const masker = createMasker([secret]).lines({ resumed: false });
        const line = `${before}${secret}${after}.`;
        const parts = [0, ...at].map((from, index) => line.slice(from, at[index] ?? line.length));
        const ending = (index: number) => (index < parts.length - 1 ? 'open' : 'newline');
        const shown = parts.map((part, index) => masker.next(part, ending(index))).join('');
        expect(shown.startsWith(before)).toBe(true);
        expect(shown.endsWith(`${after}.`)).toBe(true);
        expect(longestShown(shown, secret)).toBeLessThan(4);
        expect(masker.next('after', 'newline')).toBe('after');
      }),
    );
  });

  test('masks the part of a value between other text', () => {
    expect(masked(['correct-horse'], ['user=me pass=correct-horse ok', 'correct'])).toEqual([
      `user=me pass=${MASK_TEXT} ok`,
      'correct',
    ]);
  });
});
