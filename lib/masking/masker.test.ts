// The masker with random secrets, texts and chunkings; the oracle looks for any form of a secret in the output.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMasker, MASK_TEXT } from './masker.ts';

const secret = fc
  .string({ unit: fc.constantFrom(...'abcABC012+/"\'\\<&% é\u00ff'), minLength: 4, maxLength: 24 })
  .filter((value) => value.trim().length >= 4);

function inChunks(input: Buffer, cuts: readonly number[], values: readonly string[]): Buffer {
  const stream = createMasker(values).stream();
  const output: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (input.length + 1)), input.length].sort((a, b) => a - b)) {
    output.push(stream.push(input.subarray(from, cut)));
    from = cut;
  }
  return Buffer.concat([...output, stream.end()]);
}

const printers: Record<string, (value: string) => string> = {
  raw: (value) => value,
  base64: (value) => Buffer.from(value).toString('base64'),
  base64url: (value) => Buffer.from(value).toString('base64url'),
  hex: (value) => Buffer.from(value).toString('hex'),
  upperHex: (value) => Buffer.from(value).toString('hex').toUpperCase(),
  json: (value) => JSON.stringify(value).slice(1, -1),
  url: (value) => encodeURIComponent(value),
};

describe('masker', () => {
  test('leaves no form of a secret in the output, whatever the chunking', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(fc.nat(2), fc.constantFrom(...Object.keys(printers)), fc.string({ maxLength: 12 }))),
        fc.array(fc.nat(4000), { maxLength: 30 }),
        (values, pieces, cuts) => {
          const text = pieces
            .map(([which, printer, filler]) => filler + printers[printer]!(values[which % values.length]!))
            .join(';');
          const output = inChunks(Buffer.from(text), cuts, values).toString();
          const shown = output.split(MASK_TEXT);
          for (const value of values) {
            for (const print of [printers['raw']!, printers['json']!, printers['hex']!, printers['url']!]) {
              for (const piece of shown) expect(piece).not.toContain(print(value));
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('gives the same output for every chunking, and shows only the text around the values', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 3 }),
        fc.string({ maxLength: 200 }),
        fc.array(fc.nat(1000), { maxLength: 40 }),
        fc.nat(2),
        (values, filler, cuts, which) => {
          const input = Buffer.from(`${filler}|${values[which % values.length]!}|${filler}`);
          const whole = inChunks(input, [], values);
          expect(inChunks(input, cuts, values).equals(whole)).toBe(true);
          expect(whole.toString()).toContain(`|${MASK_TEXT}|`);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a value pushed byte by byte never shows a beginning of itself', () => {
    const value = 'correct-horse-battery';
    const stream = createMasker([value]).stream();
    const seen: string[] = [];
    for (const byte of Buffer.from(`pass=${value}.`)) seen.push(stream.push(Buffer.of(byte)).toString());
    expect(seen.join('') + stream.end().toString()).toBe(`pass=${MASK_TEXT}.`);
    expect(seen.slice(5, 5 + value.length - 1).join('')).toBe('');
  });

  test('base64 at all three alignments inside a longer text', () => {
    const value = 'correct-horse-battery-staple';
    for (const before of ['', 'x', 'xy']) {
      const encoded = Buffer.from(`${before}${value}tail`).toString('base64');
      const masked = createMasker([value]).mask(encoded);
      expect(masked).toContain(MASK_TEXT);
      expect(Buffer.from(masked.replaceAll('*', ''), 'base64').toString('latin1')).not.toContain('orse');
    }
  });

  test('base64 that is wrapped over several lines, as base64(1) prints it', () => {
    const value = 'k'.repeat(20) + 'correct-horse-battery-staple'.repeat(8);
    for (let before = 0; before < 80; before += 1) {
      const wrapped = Buffer.from('z'.repeat(before) + value)
        .toString('base64')
        .replace(/.{76}/g, '$&\n');
      const masked = inChunks(Buffer.from(wrapped), [10, 75, 76, 77, 78, 150], [value]).toString();
      const shown = Buffer.from(masked.replaceAll('*', ''), 'base64').toString('latin1');
      expect(shown).not.toContain('horse');
    }
  });

  test('a value broken over lines, as by fold(1), except three characters at its beginning', () => {
    const value = 'correct-horse"battery';
    const printed = [value, value.replaceAll('"', '\\"'), encodeURIComponent(value)];
    for (const form of printed) {
      for (let width = 1; width <= form.length; width += 1) {
        for (const lineEnd of ['\n', '\r\n']) {
          const text = `password ${form} set`.replace(new RegExp(`.{${width}}`, 'g'), `$&${lineEnd}`);
          const shown = inChunks(Buffer.from(text), [1, 7, 12, 13, 30], [value])
            .toString()
            .replaceAll(/[\r\n]/g, '');
          expect(shown, text).toMatch(/^password (cor|co|c|)\*{8} set$/);
        }
      }
    }
  });

  test('the lines of a key with other line breaks', () => {
    const key = 'first-line-of-a-key\nand-the-second-one\n';
    expect(createMasker([key]).mask('<first-lin\ne-of-a-key>')).toBe(`<${MASK_TEXT}>`);
    expect(createMasker([key]).mask('<first-line-of-a-keyand-the-sec\nond-one>')).toBe(`<${MASK_TEXT}>`);
  });

  test('lines that only happen to make up a short value are shown', () => {
    expect(createMasker(['1000']).mask('10\n00\n')).toBe('10\n00\n');
  });

  test('a line is not held back only because it ends like a base64 form begins', () => {
    const value = 'sensitive-value';
    const first = Buffer.from(value).toString('base64').slice(0, 3);
    const stream = createMasker([value]).stream();
    expect(stream.push(Buffer.from(`done ${first}\n`)).toString()).toBe(`done ${first}\n`);
  });

  test('masks each longer line of a multi-line value, and the whole value', () => {
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBg\r\nab\nkqhkiG9w0BAQ\n-----END KEY-----\n';
    const masker = createMasker([key]);
    expect(masker.mask('echo MIIEvQIBADANBg!')).toBe(`echo ${MASK_TEXT}!`);
    expect(masker.mask(`<${key}>`)).toBe(`<${MASK_TEXT}>`);
    expect(masker.mask(JSON.stringify({ key }))).toBe(`{"key":"${MASK_TEXT}"}`);
  });

  test('overlapping values never reveal each other', () => {
    const masker = createMasker(['abcdef', 'defghi', 'abcd']);
    expect(masker.mask('-abcdefghi-')).toBe(`-${MASK_TEXT}-`);
    expect(masker.mask('-abcd-')).toBe(`-${MASK_TEXT}-`);
    expect(createMasker(['aaaa']).mask('a'.repeat(100_000))).toBe(MASK_TEXT);
  });

  test('masks the beginning of a value when the source was cut off', () => {
    const stream = createMasker(['correct-horse']).stream();
    stream.push(Buffer.from('x correct-ho'));
    expect(stream.end({ truncated: true }).toString()).toBe(MASK_TEXT);
  });

  test('holds back no more than the longest form', () => {
    const value = 'ab'.repeat(50);
    const stream = createMasker([value]).stream();
    for (let round = 0; round < 200; round += 1) {
      stream.push(Buffer.from('ababab\n'.repeat(50)));
      expect(stream.heldBytes).toBeLessThan(1000);
    }
  });

  test('a long value printed one character per line', () => {
    const value = Array.from({ length: 60_000 }, (_none, index) => 'abcdefgh'[(index * index + (index >> 3)) % 8]).join(
      '',
    );
    const masked = inChunks(Buffer.from(`<${value.replaceAll(/./g, '$&\n')}>`), [1, 50_000, 100_001], [value]);
    expect(masked.toString()).toBe(`<${[...value.slice(0, 3), MASK_TEXT].join('\n')}\n>`);
  });

  test('rejects values that it cannot mask', () => {
    expect(() => createMasker(['abc'])).toThrowError(expect.objectContaining({ code: 'SENSITIVE_TOO_SHORT' }));
    expect(() => createMasker(['x'.repeat(70_000)])).toThrowError(
      expect.objectContaining({ code: 'SENSITIVE_TOO_LARGE' }),
    );
    expect(createMasker(['']).mask('anything')).toBe('anything');
  });
});
