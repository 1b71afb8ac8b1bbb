// Builds archives byte by byte, so that tests can contain what no packer writes: names with `..`, links, wrong sizes.
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';

export interface TarEntry {
  readonly name: string | Buffer;
  /**
   * '0' file, '1' hard link, '2' symbolic link, '3' character device, '5' folder, '6' pipe, 'S' sparse, 'V' label, 'M'
   * continued, 'x' PAX, 'L' long name.
   */
  readonly type?: string;
  readonly mode?: number;
  readonly content?: Buffer | string;
  readonly linkName?: string;
  /** What the header claims; the content's length by default. */
  readonly size?: number;
}

/** The header, content and padding of one entry. */
export function tarEntry({ name, type = '0', mode = 0o644, content = '', linkName = '', size }: TarEntry): Buffer {
  const body = Buffer.from(content);
  const header = Buffer.alloc(512);
  Buffer.from(name).copy(header, 0, 0, 100);
  header.write(mode.toString(8).padStart(7, '0'), 100);
  header.write('0000000', 108);
  header.write('0000000', 116);
  header.write((size ?? body.length).toString(8).padStart(11, '0'), 124);
  header.write('00000000000', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(linkName, 157);
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

/** One PAX header that gives the next entry, or with type 'g' all entries, these attributes. */
export function paxEntry(attributes: Readonly<Record<string, string>>, type: 'x' | 'g' = 'x'): Buffer {
  const records = Object.entries(attributes).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return `${length} ${key}=${value}\n`;
  });
  return tarEntry({ name: 'PaxHeader', type, content: records.join('') });
}

/** A whole tar.gz of entries, or of raw pieces. */
export function tarGz(pieces: readonly (TarEntry | Buffer)[], { end = true } = {}): Buffer {
  const blocks = pieces.map((piece) => (Buffer.isBuffer(piece) ? piece : tarEntry(piece)));
  return gzipSync(Buffer.concat([...blocks, ...(end ? [Buffer.alloc(1024)] : [])]), { level: 1 });
}

export interface ZipEntry {
  readonly name: string | Buffer;
  readonly content?: Buffer | string;
  /** The whole Unix mode with its type, such as 0o120777 for a link. */
  readonly mode?: number;
  readonly flags?: number;
  readonly method?: number;
  readonly version?: number;
  /** What the headers claim; the content's length by default. */
  readonly size?: number;
  readonly crc?: number;
  /** The system that made the entry: 3 for Unix, 0 for DOS and Windows. */
  readonly host?: number;
  /** The attributes of DOS. */
  readonly attributes?: number;
  /** The disk that the directory claims. */
  readonly disk?: number;
  readonly extra?: Buffer;
  /** An offset that the directory claims; the entry then has no header and content of its own. */
  readonly at?: number;
  /** What the entry's own header claims, in place of what the directory claims. */
  readonly own?: Partial<ZipHeader>;
  /** What follows the deflated bytes within the content, the content, and the entry. */
  readonly tail?: Buffer;
  readonly descriptor?: Buffer;
  readonly after?: Buffer;
}

interface ZipHeader {
  readonly name: string | Buffer;
  /** Ten times the version that readers need. */
  readonly version?: number | undefined;
  readonly flags?: number | undefined;
  readonly method?: number | undefined;
  readonly extra?: Buffer | undefined;
  readonly crc: number;
  readonly size: number;
  readonly packedSize: number;
}

export interface ZipLie {
  /** What the end claims, in place of the truth. */
  readonly records?: number;
  readonly recordsHere?: number;
  readonly directoryBytes?: number;
  readonly comment?: Buffer;
  /** Bytes before all entries, before the directory and before the end. */
  readonly before?: Buffer;
  readonly beforeDirectory?: Buffer;
  readonly beforeEnd?: Buffer;
  readonly directoryDisk?: number;
  /** Writes an end of 64 bits, too, which claims so many records. */
  readonly records64?: number;
  readonly directoryDisk64?: number;
  readonly disks64?: number;
  /** What follows the fields of the end of 64 bits, within its size. */
  readonly sector64?: Buffer;
}

/** A whole zip. */
export function zip(entries: readonly ZipEntry[], lie: ZipLie = {}): Buffer {
  const { before = EMPTY, beforeDirectory = EMPTY, beforeEnd = EMPTY, comment = EMPTY } = lie;
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = before.length;
  for (const entry of entries) {
    const { local, central } = zipEntry(entry, offset);
    locals.push(local);
    directory.push(central);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const start = offset + beforeDirectory.length;
  const records = lie.records ?? entries.length;
  const bytes = lie.directoryBytes ?? central.length;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(lie.directoryDisk ?? 0, 6);
  end.writeUInt16LE(lie.recordsHere ?? records, 8);
  end.writeUInt16LE(records, 10);
  end.writeUInt32LE(bytes, 12);
  end.writeUInt32LE(start, 16);
  end.writeUInt16LE(comment.length, 20);
  const end64 = lie.records64 === undefined ? [] : [zipEnd64(lie.records64, bytes, start, lie)];
  return Buffer.concat([before, ...locals, beforeDirectory, central, beforeEnd, ...end64, end, comment]);
}

const EMPTY = Buffer.alloc(0);

function zipEnd64(records: number, bytes: number, start: number, lie: ZipLie): Buffer {
  const { directoryDisk64 = lie.directoryDisk ?? 0, disks64 = 1, sector64 = EMPTY } = lie;
  const end = Buffer.alloc(56);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n + BigInt(sector64.length), 4);
  end.writeUInt32LE(directoryDisk64, 20);
  end.writeBigUInt64LE(BigInt(records), 24);
  end.writeBigUInt64LE(BigInt(records), 32);
  end.writeBigUInt64LE(BigInt(bytes), 40);
  end.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + bytes), 8);
  locator.writeUInt32LE(disks64, 16);
  return Buffer.concat([end, sector64, locator]);
}

function zipEntry(entry: ZipEntry, offset: number) {
  const { content = '', mode = 0o100644, at, crc, descriptor = EMPTY, after = EMPTY } = entry;
  const body = Buffer.from(content);
  const packed = Buffer.concat([(entry.method ?? 8) === 8 ? deflateRawSync(body) : body, entry.tail ?? EMPTY]);
  const truth = { ...entry, crc: crc ?? crc32(body), size: entry.size ?? body.length, packedSize: packed.length };
  const own = zipHeader({ ...truth, ...entry.own });
  const listed = zipHeader(truth);
  const local = Buffer.concat([
    Buffer.from('504b0304', 'hex'),
    own.shared,
    own.name,
    own.extra,
    packed,
    descriptor,
    after,
  ]);
  const tail = Buffer.alloc(14);
  tail.writeUInt16LE(entry.disk ?? 0, 2);
  tail.writeUInt32LE(mode * 0x10000 + (entry.attributes ?? 0), 6);
  tail.writeUInt32LE(at ?? offset, 10);
  const made = Buffer.from([20, entry.host ?? 3]);
  const central = Buffer.concat([Buffer.from('504b0102', 'hex'), made, listed.shared, tail, listed.name, listed.extra]);
  return { local: at === undefined ? local : EMPTY, central };
}

/** The fields that both headers of an entry have, its name and its extra fields. */
function zipHeader({ name, version = 20, flags = 0x800, method = 8, crc, size, packedSize, extra = EMPTY }: ZipHeader) {
  const nameBytes = Buffer.from(name);
  const shared = Buffer.alloc(26);
  shared.writeUInt16LE(version, 0);
  shared.writeUInt16LE(flags, 2);
  shared.writeUInt16LE(method, 4);
  shared.writeUInt32LE(crc, 10);
  shared.writeUInt32LE(packedSize, 14);
  shared.writeUInt32LE(size, 18);
  shared.writeUInt16LE(nameBytes.length, 22);
  shared.writeUInt16LE(extra.length, 24);
  return { shared, name: nameBytes, extra };
}

/** The extra field with the UTF-8 name that belongs to an old one. */
export function unicodePath(oldName: string, name: string): Buffer {
  const bytes = Buffer.from(name);
  const head = Buffer.alloc(9);
  head.writeUInt16LE(0x7075, 0);
  head.writeUInt16LE(5 + bytes.length, 2);
  head.writeUInt8(1, 4);
  head.writeUInt32LE(crc32(Buffer.from(oldName)), 5);
  return Buffer.concat([head, bytes]);
}

/** The extra field with a mode that Ant writes. */
export function asiMode(mode: number): Buffer {
  const field = Buffer.alloc(18);
  field.writeUInt16LE(0x756e, 0);
  field.writeUInt16LE(14, 2);
  field.writeUInt16LE(mode, 8);
  field.writeUInt32LE(crc32(field.subarray(8)), 4);
  return field;
}

/** The extra field with the sizes of an entry in 64 bits. */
export function sizes64(size: number, packedSize: number): Buffer {
  const field = Buffer.alloc(20);
  field.writeUInt16LE(0x0001, 0);
  field.writeUInt16LE(16, 2);
  field.writeBigUInt64LE(BigInt(size), 4);
  field.writeBigUInt64LE(BigInt(packedSize), 12);
  return field;
}

/** The descriptor of an entry, with its signature. */
export function zipDescriptor(content: string): Buffer {
  const body = Buffer.from(content);
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(crc32(body), 4);
  bytes.writeUInt32LE(deflateRawSync(body).length, 8);
  bytes.writeUInt32LE(body.length, 12);
  return bytes;
}
