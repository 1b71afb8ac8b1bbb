// The names of a zip's entries as the usual tools read them: UTF-8 by flag or beside the name, else the code page of
// DOS; backslashes of DOS and Windows; the URIs of a nupkg.
import { crc32 } from 'node:zlib';
import { IsthmusError } from '../../contract/errors.ts';
import { decodeName, entryPath, shown } from './names.ts';
import { EXTRA, extraFields } from './zip-extra.ts';

const IS_UTF8 = 0x800;
/** FAT, OS/2, NTFS and VFAT. */
const HOSTS_WITH_BACKSLASHES = [0, 6, 10, 14];

/** What a header tells of a name. */
export interface WrittenName {
  readonly bytes: Buffer;
  readonly flags: number;
  readonly extra: Buffer;
}

/**
 * The name by which an entry is unpacked. PACKAGE_NAME when the directory has two for it, or its own header another one;
 * PACKAGE_PATH_ESCAPE when one of them leaves the package.
 */
export function entryName(listed: WrittenName, own: WrittenName, host: number, format: 'zip' | 'nupkg'): string {
  const name = textOf(listed);
  const others = listed.bytes.equals(own.bytes) ? [unicodePath(own)] : [textOf(own), unicodePath(own)];
  for (const other of others) if (other !== undefined && other !== name) rejectSecond(name, other);
  const path = HOSTS_WITH_BACKSLASHES.includes(host) && !name.includes('/') ? name.replaceAll('\\', '/') : name;
  return format === 'nupkg' ? decodeUri(path) : path;
}

function textOf(written: WrittenName): string {
  const unicode = unicodePath(written);
  const plain = (written.flags & IS_UTF8) === 0 ? decodeOld(written.bytes) : decodeName(written.bytes);
  if (unicode === undefined || unicode === plain) return plain;
  if ((written.flags & IS_UTF8) !== 0) rejectSecond(plain, unicode);
  // Older readers take it.
  entryPath(plain);
  return unicode;
}

/** The UTF-8 name that stands beside the other one and belongs to it. */
function unicodePath({ bytes, extra }: WrittenName): string | undefined {
  const [field, second] = extraFields(extra, EXTRA.unicodePath);
  if (field !== undefined && second !== undefined) {
    rejectSecond(decodeName(field.subarray(5)), decodeName(second.subarray(5)));
  }
  if (field === undefined || field.length < 6 || field[0] !== 1 || field.readUInt32LE(1) !== crc32(bytes))
    return undefined;
  return decodeName(field.subarray(5));
}

/** Without a flag most packers write UTF-8 all the same. */
function decodeOld(bytes: Buffer): string {
  try {
    return decodeName(bytes);
  } catch {
    return Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : UPPER_CP437[byte - 0x80])).join('');
  }
}

const UPPER_CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
  'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** The parts of a nupkg are URIs. As NuGet does, what is no escape of UTF-8 stays as it is. */
function decodeUri(name: string): string {
  return name.replace(ESCAPED_CHARACTER, (escape) => {
    try {
      return decodeURIComponent(escape);
    } catch {
      return escape;
    }
  });
}

const ESCAPED_CHARACTER =
  /%[0-7][\da-f]|%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-7](?:%[89ab][\da-f]){3}/gi;

function rejectSecond(name: string, other: string): never {
  for (const each of [name, other]) entryPath(each);
  throw new IsthmusError('PACKAGE_NAME', `an entry has two names, ${shown(name)} and ${shown(other)}`);
}
