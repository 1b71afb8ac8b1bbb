// Text files in the encodings that configuration files have: decoded strictly and encoded in kind, with their byte order
// mark (https://encoding.spec.whatwg.org, https://www.unicode.org/faq/utf_bom). ISO 8859-1 is the real one here: each
// byte is the character of that number.
import type { TextEncoding } from '../../contract/text-encodings.ts';

export interface DecodedText {
  readonly text: string;
  readonly encoding: TextEncoding;
  /** The byte order mark of the file; empty when it has none. It is not in `text`. */
  readonly mark: Buffer;
}

const MARKS: readonly (readonly [TextEncoding, Buffer])[] = [
  ['utf-8', Buffer.from([0xef, 0xbb, 0xbf])],
  ['utf-16le', Buffer.from([0xff, 0xfe])],
  ['utf-16be', Buffer.from([0xfe, 0xff])],
];

const NO_MARK = Buffer.alloc(0);

/** Text in the encoding of its byte order mark, else in `declared`; undefined when it is not that, or has a NUL. */
export function decodeFile(bytes: Buffer, declared: TextEncoding): DecodedText | undefined {
  const marked = MARKS.find(([, mark]) => bytes.subarray(0, mark.length).equals(mark));
  const [encoding, mark] = marked ?? [declared, NO_MARK];
  const text = decodeStrictly(bytes.subarray(mark.length), encoding);
  return text === undefined || text.includes('\0') ? undefined : { text, encoding, mark };
}

function decodeStrictly(bytes: Buffer, encoding: TextEncoding): string | undefined {
  if (encoding === 'iso-8859-1') return bytes.toString('latin1');
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes of a file with this text; the offset in `text` of the first character that the encoding lacks. */
export function encodeFile({ text, encoding, mark }: DecodedText): Buffer | { readonly lacksAt: number } {
  const body = encodeText(text, encoding);
  return Buffer.isBuffer(body) ? Buffer.concat([mark, body]) : body;
}

function encodeText(text: string, encoding: TextEncoding): Buffer | { readonly lacksAt: number } {
  switch (encoding) {
    case 'utf-8':
      return Buffer.from(text);
    case 'utf-16le':
      return Buffer.from(text, 'utf16le');
    case 'utf-16be':
      return Buffer.from(text, 'utf16le').swap16();
    case 'iso-8859-1':
      return encodeBytes(text, (unit) => (unit <= 0xff ? unit : undefined));
    case 'windows-1252':
      return encodeBytes(text, (unit) => windows1252().get(unit));
  }
}

function encodeBytes(
  text: string,
  byteOf: (unit: number) => number | undefined,
): Buffer | { readonly lacksAt: number } {
  const bytes = Buffer.alloc(text.length);
  for (let at = 0; at < text.length; at += 1) {
    const byte = byteOf(text.charCodeAt(at));
    if (byte === undefined) return { lacksAt: at };
    bytes[at] = byte;
  }
  return bytes;
}

let bytesOfWindows1252: ReadonlyMap<number, number> | undefined;

/** The byte of each character, read off the platform's own decoder. */
function windows1252(): ReadonlyMap<number, number> {
  if (bytesOfWindows1252 === undefined) {
    const characters = new TextDecoder('windows-1252').decode(
      Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    );
    bytesOfWindows1252 = new Map(Array.from(characters, (character, byte) => [character.charCodeAt(0), byte]));
  }
  return bytesOfWindows1252;
}
