// What an entry of a zip is, and its mode. One reader goes by the slash at the end of a name, the next by the mode, a
// third by the attributes of DOS: they must tell the same.
import { constants } from 'node:fs';
import type { Entry } from 'yauzl';
import { IsthmusError } from '../../contract/errors.ts';
import { shown } from './names.ts';
import { lie } from './zip-end.ts';
import { EXTRA, extraFields } from './zip-extra.ts';

const HOST = { unix: 3, darwin: 19 };
const DOS = { volumeLabel: 0x08, folder: 0x10 };

type Facts = Pick<Entry, 'versionMadeBy' | 'externalFileAttributes' | 'extraFieldRaw' | 'uncompressedSize'>;

/** PACKAGE_ENTRY for what a package cannot have, PACKAGE_FORMAT for what readers do not agree on. */
export function kindOf(entry: Facts, name: string): 'file' | 'folder' | 'link' {
  const type = typeOf(entry);
  const named = name.endsWith('/') ? 'folder' : 'file';
  if (type === constants.S_IFLNK) {
    if (named === 'file' && hostOf(entry) === HOST.unix) return 'link';
    throw lie(`${shown(name)} is a link to some readers only`);
  }
  if (!isFile(type, entry) && type !== constants.S_IFDIR) {
    throw new IsthmusError('PACKAGE_ENTRY', 'the archive has an entry that is no file, folder or link');
  }
  const attributes = isUnix(entry) ? 0 : entry.externalFileAttributes;
  if ((attributes & DOS.volumeLabel) !== 0) throw lie(`${shown(name)} is a volume label to some readers`);
  if (named === 'file' && (type === constants.S_IFDIR || (attributes & DOS.folder) !== 0)) {
    throw lie(`${shown(name)} is a folder to some readers and a file to others`);
  }
  return named;
}

/** The mode with its type; undefined when no Unix made the entry. */
export function unixMode(entry: Facts): number | undefined {
  const mode = modeOf(entry) || asiModeOf(entry);
  return isUnix(entry) && mode !== 0 ? mode : undefined;
}

/** What Info-ZIP packed from its standard input or a pipe is a file that tells of the pipe. */
function isFile(type: number, { uncompressedSize }: Facts): boolean {
  return type === 0 || type === constants.S_IFREG || (type === constants.S_IFIFO && uncompressedSize > 0);
}

/** The type by the mode, whatever made the entry; 0 when there is none. */
function typeOf(entry: Facts): number {
  const type = modeOf(entry) & constants.S_IFMT;
  const other = asiModeOf(entry) & constants.S_IFMT;
  if (other !== 0 && other !== (type || constants.S_IFREG)) throw lie('an entry has two modes of different types');
  return type;
}

function modeOf({ externalFileAttributes }: Facts): number {
  return externalFileAttributes >>> 16;
}

/** Some readers take this mode where the entry has no other one. */
function asiModeOf({ extraFieldRaw }: Facts): number {
  const [field] = extraFields(extraFieldRaw, EXTRA.asiUnix);
  return field === undefined || field.length < 6 ? 0 : field.readUInt16LE(4);
}

function isUnix(entry: Facts): boolean {
  return hostOf(entry) === HOST.unix || hostOf(entry) === HOST.darwin;
}

function hostOf({ versionMadeBy }: Facts): number {
  return versionMadeBy >> 8;
}
