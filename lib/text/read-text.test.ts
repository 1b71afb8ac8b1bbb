// Text is read exactly or rejected at the first wrong byte.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeText, firstLine, normaliseScript } from './read-text.ts';

it('any bytes decode exactly, or are rejected at the first that begins no character', () => {
  const mixed = fc.array(
    fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 3 }),
    ),
  );
  fc.assert(
    fc.property(mixed, (parts) => {
      const bytes = Buffer.concat(parts);
      const offset = wrongAt(bytes);
      if (/^(\xff\xfe|\xfe\xff)/.test(bytes.toString('latin1'))) return;
      if (offset === undefined) {
        const { text, hadMark } = decodeText(bytes, 'f');
        expect(Buffer.from(`${hadMark ? '\ufeff' : ''}${text}`)).toEqual(bytes);
      } else {
        expect(() => decodeText(bytes, 'f')).toThrow(
          new RegExp(`^f is not UTF-8: byte 0x[0-9a-f]{2} at offset ${offset}$`),
        );
      }
    }),
    { numRuns: 2000 },
  );
});

/** Where strict decoding, one character after the other, stops. */
function wrongAt(bytes: Buffer): number | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;
  while (at < bytes.length) {
    const size = [1, 2, 3, 4].find((length) => {
      try {
        return at + length <= bytes.length && decoder.decode(bytes.subarray(at, at + length)).length > 0;
      } catch {
        return false;
      }
    });
    if (size === undefined) return at;
    at += size;
  }
  return undefined;
}

it.each<[string, Buffer, string]>([
  ['Latin-1', Buffer.from('caf\xe9 au lait', 'latin1'), 'f is not UTF-8: byte 0xe9 at offset 3'],
  ['a character that is cut at the end', Buffer.from([0x61, 0xe2, 0x82]), 'f is not UTF-8: byte 0xe2 at offset 1'],
  ['UTF-16', Buffer.from([0xff, 0xfe, 0x61, 0]), 'f is UTF-16: save it as UTF-8'],
  [
    'a wrong byte far in',
    Buffer.concat([Buffer.from(`x${'é'.repeat(500_000)}`), Buffer.from([0xff])]),
    'f is not UTF-8: byte 0xff at offset 1000001',
  ],
])('names what is wrong with %s', (_, bytes, message) => {
  expect(() => decodeText(bytes, 'f')).toThrow(expect.objectContaining({ code: 'TEXT_INVALID', message }));
});

it('takes a byte order mark off, and says so', () => {
  expect(decodeText(Buffer.from('\ufeffé'), 'f')).toEqual({ text: 'é', hadMark: true });
  expect(decodeText(Buffer.from('é\ufeff'), 'f')).toEqual({ text: 'é\ufeff', hadMark: false });
});

it.each<[string, Buffer, Buffer]>([
  ['as bytes', Buffer.from([0xff, 0x61, 0x0a, 0x62]), Buffer.from([0xff, 0x61])],
  ['without a carriage return', Buffer.from('a\r\nb'), Buffer.from('a')],
  ['without a mark', Buffer.from('\ufeffa\n'), Buffer.from('a')],
  ['when it is all there is', Buffer.from('a\r'), Buffer.from('a\r')],
])('reads the first line %s', (_, bytes, line) => {
  expect(firstLine(bytes, 'f')).toEqual(line);
});

it('gives a script line feeds', () => {
  expect(normaliseScript('\ufeffset -e\r\necho a\r\n')).toEqual({ body: 'set -e\necho a\n', changed: true });
  expect(normaliseScript("printf 'a\\r\\n'\necho \r")).toEqual({ body: "printf 'a\\r\\n'\necho \r", changed: false });
});
