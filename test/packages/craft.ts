// Builds archives byte by byte, so that tests can contain what no packer writes: names with `..`, links, wrong sizes.
import { deflateRawSync, gzipSync } from 'node:zlib';

export interface TarEntry {
  readonly name: string | Buffer;
  /**
   * '0' file, '1' hard link, '2' symbolic link, '3' character device, '5' folder, '6' pipe, 'S' sparse, 'x' PAX, 'L'
   * long name.
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

/** One PAX header that gives the next entry these attributes. */
export function paxEntry(attributes: Readonly<Record<string, string>>): Buffer {
  const records = Object.entries(attributes).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return `${length} ${key}=${value}\n`;
  });
  return tarEntry({ name: 'PaxHeader', type: 'x', content: records.join('') });
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
  /** What the headers claim; the content's length by default. */
  readonly size?: number;
  /** The offset that the directory claims; the real one by default. */
  readonly at?: number;
}

/** A whole zip. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const { local, central } = zipEntry(entry, offset);
    locals.push(local);
    directory.push(central);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

function zipEntry(
  { name, content = '', mode = 0o100644, flags = 0x800, method = 8, size, at }: ZipEntry,
  offset: number,
) {
  const nameBytes = Buffer.from(name);
  const body = Buffer.from(content);
  const packed = method === 8 ? deflateRawSync(body) : body;
  const shared = Buffer.alloc(26);
  shared.writeUInt16LE(20, 0);
  shared.writeUInt16LE(flags, 2);
  shared.writeUInt16LE(method, 4);
  shared.writeUInt32LE(packed.length, 14);
  shared.writeUInt32LE(size ?? body.length, 18);
  shared.writeUInt16LE(nameBytes.length, 22);
  const local = Buffer.concat([Buffer.from('504b0304', 'hex'), shared, nameBytes, packed]);
  const made = Buffer.from([20, 3]);
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE(mode * 0x10000, 6);
  tail.writeUInt32LE(at ?? offset, 10);
  const central = Buffer.concat([Buffer.from('504b0102', 'hex'), made, shared, tail, nameBytes]);
  return { local, central };
}
