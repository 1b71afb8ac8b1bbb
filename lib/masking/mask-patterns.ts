// The byte patterns that reveal a sensitive value: the value itself, each longer line of it, and the forms in which
// programs print values: base64 at its three alignments, hex, percent-encoding, JSON, XML and shell escapes.
import { IsthmusError } from '../../contract/errors.ts';

/** Masking a shorter value would hide half of every log, and readers could still guess the value. */
export const MINIMUM_MASKABLE_LENGTH = 4;

/** Bounds the automaton: each byte of a value becomes about twenty states of sixteen bytes. */
const LARGEST_TOTAL_BYTES = 64 * 1024;

/** A list of short words or numbers, read without its line breaks, contains any shorter value by chance. */
const SHORTEST_BROKEN = 8;

const LINE_BREAKS = /\r\n|\r|\n/g;

/** Whether `value` can be masked; an empty value need not be. */
export function isMaskable(value: string): boolean {
  return value.length === 0 || value.length >= MINIMUM_MASKABLE_LENGTH;
}

/** What is searched across line breaks: the encodings that programs wrap, or any form. */
export type Folding = 'encodings' | 'anything';

export interface Patterns {
  /** Searched byte by byte. */
  readonly exact: readonly Buffer[];
  /** Searched in the text without its line breaks; contain none themselves. */
  readonly folded: readonly Buffer[];
}

/** The patterns of `values`; throws as `checkMaskable`. Values with a common line may produce a pattern twice. */
export function patternsOf(values: readonly string[], folding: Folding): Patterns {
  const units = checked(values).flatMap(unitsOf);
  const escaped = units.map((unit) => patterns(escapedForms(unit)));
  const encoded = units.flatMap((unit) => patterns(encodedForms(Buffer.from(unit))));
  if (folding === 'encodings') return { exact: escaped.flat(), folded: encoded };
  const broken = units.flatMap((unit, index) => {
    const joined = unit.replaceAll(LINE_BREAKS, '');
    if (joined.length < SHORTEST_BROKEN) return [];
    return joined.length === unit.length ? escaped[index]! : patterns(escapedForms(joined));
  });
  return { exact: escaped.flat(), folded: [...encoded, ...broken] };
}

function patterns(forms: readonly string[]): Buffer[] {
  const long = forms.filter((form, index) => form.length >= MINIMUM_MASKABLE_LENGTH && forms.indexOf(form) === index);
  return long.map((form) => Buffer.from(form));
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
        `a sensitive value is shorter than ${MINIMUM_MASKABLE_LENGTH} characters`,
      );
    }
    total += Buffer.byteLength(value);
  }
  if (total > LARGEST_TOTAL_BYTES) {
    throw new IsthmusError(
      'SENSITIVE_TOO_LARGE',
      `the sensitive values take ${total} bytes, ${LARGEST_TOTAL_BYTES} is the most`,
    );
  }
  return values.filter((value) => value.length > 0);
}

/** The value, the value without outer white space, and its lines; each only if long enough. */
function unitsOf(value: string): string[] {
  const lines = value.split(LINE_BREAKS);
  const units = [value, value.trim(), ...lines, ...lines.map((line) => line.trim())];
  return [...new Set(units)].filter((unit) => unit.length >= MINIMUM_MASKABLE_LENGTH);
}

/** No program escapes any of these. */
const PLAIN = /^[\w.-]*$/;

function escapedForms(value: string): string[] {
  if (PLAIN.test(value)) return [value];
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
    strictlyPercentEncoded(percent),
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

/** encodeURIComponent throws on a lone surrogate; UTF-8 replaces it by U+FFFD, which programs print too. */
function percentEncoded(value: string): string {
  return encodeURIComponent(Buffer.from(value).toString());
}

function strictlyPercentEncoded(percent: string): string {
  return percent.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodedForms(value: Buffer): string[] {
  const hex = value.toString('hex');
  const forms = [hex, hex.toUpperCase()];
  const padded = Buffer.concat([Buffer.alloc(2), value]);
  for (const before of [0, 1, 2]) {
    const aligned = padded.subarray(2 - before);
    for (const alphabet of ['base64', 'base64url'] as const) forms.push(ownCharacters(aligned, before, alphabet));
  }
  return forms;
}

/** The base64 characters that depend only on `bytes`, with `before` other bytes before them in their group. */
function ownCharacters(bytes: Buffer, before: number, alphabet: 'base64' | 'base64url'): string {
  const first = Math.ceil((before * 8) / 6);
  const end = Math.floor((bytes.length * 8) / 6);
  return bytes.toString(alphabet).slice(first, end);
}
