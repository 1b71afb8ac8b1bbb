// Every encoding reads and writes the same bytes; what is not in it is rejected.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TEXT_ENCODINGS, type TextEncoding } from '../../contract/text-encodings.ts';
import { decodeFile, encodeFile } from './encodings.ts';

const bytes = (...values: number[]) => Buffer.from(values);

it('what decodes is encoded to the same bytes, in every encoding, with its mark', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom(...TEXT_ENCODINGS), (content, declared) => {
      const decoded = decodeFile(Buffer.from(content), declared);
      if (decoded !== undefined) expect(encodeFile(decoded)).toEqual(Buffer.from(content));
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...TEXT_ENCODINGS), (text, encoding) => {
      const encoded = encodeFile({ text, encoding, mark: bytes() });
      if (!Buffer.isBuffer(encoded) || text.includes('\0') || /^[\ufeff\ufffe]|^[ïþÿ]/u.test(text)) return;
      expect(decodeFile(encoded, encoding)?.text).toBe(text);
    }),
  );
});

it.each<[string, Buffer, TextEncoding, string | undefined]>([
  ['UTF-8', Buffer.from('é'), 'utf-8', 'é'],
  ['UTF-8 with a mark, whatever is declared', bytes(0xef, 0xbb, 0xbf, 0x61), 'iso-8859-1', 'a'],
  ['UTF-16LE by its mark', bytes(0xff, 0xfe, 0x61, 0), 'utf-8', 'a'],
  ['UTF-16BE by its mark', bytes(0xfe, 0xff, 0, 0x61), 'utf-8', 'a'],
  ['UTF-16LE as declared', bytes(0x61, 0), 'utf-16le', 'a'],
  ['the euro sign', bytes(0x80), 'windows-1252', '€'],
  ['the control character of the same byte', bytes(0x80), 'iso-8859-1', '\x80'],
  ['Latin-1 taken for UTF-8', bytes(0xe9), 'utf-8', undefined],
  ['half a character of UTF-16', bytes(0x61, 0, 0x61), 'utf-16le', undefined],
  ['a lone surrogate', bytes(0, 0xd8), 'utf-16le', undefined],
  ['a picture', bytes(0x89, 0x50, 0), 'iso-8859-1', undefined],
  ['UTF-32, which looks like UTF-16 with NULs', bytes(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0), 'utf-8', undefined],
])('decodes %s', (_, content, declared, text) => {
  expect(decodeFile(content, declared)?.text).toBe(text);
});

it.each<[TextEncoding, string, number]>([
  ['iso-8859-1', 'ab€', 2],
  ['windows-1252', 'ž€ś', 2],
])('%s says where it lacks a character', (encoding, text, lacksAt) => {
  expect(encodeFile({ text, encoding, mark: bytes() })).toEqual({ lacksAt });
});
