// Which bytes give a sensitive value away: the value itself, each longer line of it, and the forms in which programs
// print values: base64 at its three alignments, hex, percent-encoding, JSON, XML and shell escapes.
import { IsthmusError } from './errors.ts';

/** Masking a shorter value would blot out half of every log and still be guessed from it. */
export const minimumMaskableLength = 4;

/** Bounds the automaton: each byte of a value becomes some twenty states of sixteen bytes. */
const largestTotalBytes = 64 * 1024;

/** Whether `value` can be masked; an empty value need not be. */
export function isMaskable(value: string): boolean {
  return value.length === 0 || value.length >= minimumMaskableLength;
}

/** The patterns that are looked for byte by byte. */
export function secretParts(values: readonly string[]): Buffer[] {
  const texts = new Set<string>();
  for (const value of checked(values)) {
    for (const unit of unitsOf(value)) for (const form of escapedForms(unit)) texts.add(form);
  }
  return [...texts].filter((text) => text.length >= minimumMaskableLength).map((text) => Buffer.from(text));
}

/** The patterns that programs wrap over several lines. */
export function foldedSecretParts(values: readonly string[]): Buffer[] {
  const texts = new Set<string>();
  for (const value of checked(values)) {
    for (const unit of unitsOf(value)) for (const form of encodedForms(Buffer.from(unit))) texts.add(form);
  }
  return [...texts].filter((text) => text.length >= minimumMaskableLength).map((text) => Buffer.from(text));
}

/** Throws SENSITIVE_TOO_SHORT or SENSITIVE_TOO_LARGE for values that cannot be masked. */
export function checkMaskable(values: readonly string[]): void {
  checked(values);
}

function checked(values: readonly string[]): readonly string[] {
  let total = 0;
  for (const value of values) {
    if (!isMaskable(value)) {
      throw new IsthmusError(
        'SENSITIVE_TOO_SHORT',
        `a sensitive value is shorter than ${minimumMaskableLength} characters`,
      );
    }
    total += Buffer.byteLength(value);
  }
  if (total > largestTotalBytes) {
    throw new IsthmusError(
      'SENSITIVE_TOO_LARGE',
      `the sensitive values take ${total} bytes, ${largestTotalBytes} is the most`,
    );
  }
  return values.filter((value) => value.length > 0);
}

/** The value, the value without its outer white space, and its lines, as far as each is long enough. */
function unitsOf(value: string): string[] {
  const lines = value.split(/\r\n|\r|\n/);
  const units = [value, value.trim(), ...lines, ...lines.map((line) => line.trim())];
  return [...new Set(units)].filter((unit) => unit.length >= minimumMaskableLength);
}

function escapedForms(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const percent = percentEncoded(value);
  const xml = value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const xmlQuoted = xml.replaceAll('"', '&quot;');
  return [
    value,
    json,
    json.replaceAll('/', '\\/'),
    asciiOnly(json, (unit) => unit),
    asciiOnly(json, (unit) => unit.toUpperCase()),
    percent,
    percent.replace(/%../g, (escape) => escape.toLowerCase()),
    percent.replaceAll('%20', '+'),
    strictlyPercentEncoded(value),
    xml,
    xmlQuoted,
    xmlQuoted.replaceAll("'", '&#39;'),
    xmlQuoted.replaceAll("'", '&apos;'),
    value.replaceAll("'", "'\\''"),
    value.replace(/[^\w@%+=:,./-]/g, (character) => `\\${character}`),
  ];
}

function asciiOnly(json: string, digits: (unit: string) => string): string {
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${digits(unit.charCodeAt(0).toString(16).padStart(4, '0'))}`);
}

/** encodeURIComponent throws on half a surrogate pair; as UTF-8 that is U+FFFD, which is also what a program prints. */
function percentEncoded(value: string): string {
  return encodeURIComponent(Buffer.from(value).toString());
}

function strictlyPercentEncoded(value: string): string {
  return percentEncoded(value).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodedForms(value: Buffer): string[] {
  const forms: string[] = [];
  for (const before of [0, 1, 2]) {
    const standard = alignedBase64(value, before);
    forms.push(standard, standard.replaceAll('+', '-').replaceAll('/', '_'));
  }
  const hex = value.toString('hex');
  forms.push(hex, hex.toUpperCase());
  return forms;
}

/** The base64 characters that `value` alone decides when `before` other bytes stand in front of it in its group. */
function alignedBase64(value: Buffer, before: number): string {
  const encoded = Buffer.concat([Buffer.alloc(before), value]).toString('base64');
  const first = Math.ceil((before * 8) / 6);
  const end = Math.floor(((before + value.length) * 8) / 6);
  return encoded.slice(first, end);
}
