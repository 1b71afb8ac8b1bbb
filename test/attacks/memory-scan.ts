// Looks for a secret in the memory of a process and in files, in every form that it may have there. The secret is a
// word of letters and digits, which no escaping (JSON, URLs, shell) changes; the other forms are UTF-16, base64 and
// hexadecimal.
import { createReadStream } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Read at once; pieces of zeros alone, of which there are many, are skipped. */
const pieceBytes = 1024 * 1024;

/** The forms of a secret by name. */
export function formsOf(word: string): Map<string, Buffer> {
  if (!/^[A-Za-z0-9]{16,}$/.test(word)) throw new Error('the secret is a word of letters and digits');
  const bytes = Buffer.from(word);
  const hex = bytes.toString('hex');
  const forms = new Map<string, Buffer>([
    ['as it is', bytes],
    // Without the last byte it matches both byte orders.
    ['UTF-16', Buffer.from(word, 'utf16le').subarray(0, -1)],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
  ]);
  // In a longer text it begins at any of the three offsets of a base64 group; the groups at its ends depend on the text
  // around it. Letters and digits give no character that base64url writes differently.
  for (const lead of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(lead), bytes])
      .toString('base64')
      .replaceAll('=', '');
    forms.set(`base64, ${lead}`, Buffer.from(text.slice(lead === 0 ? 0 : 4, -4)));
  }
  return forms;
}

/** Which of the forms are in a file. */
export function foundIn(file: string, forms: ReadonlyMap<string, Buffer>): Promise<string[]> {
  return foundAmong(createReadStream(file, { highWaterMark: pieceBytes }), forms);
}

async function foundAmong(pieces: AsyncIterable<Buffer>, forms: ReadonlyMap<string, Buffer>): Promise<string[]> {
  const found = new Set<string>();
  const overlap = Math.max(...[...forms.values()].map(({ length }) => length)) - 1;
  const nothing = Buffer.alloc(pieceBytes);
  let tail = Buffer.alloc(0);
  for await (const piece of pieces) {
    const bytes = piece.equals(nothing) ? tail : Buffer.concat([tail, piece]);
    for (const [name, form] of forms) if (!found.has(name) && bytes.includes(form)) found.add(name);
    tail = Buffer.from(piece.subarray(-overlap));
  }
  return [...found].sort();
}

/** Which of the forms are in the files below a folder, as `path: form`. */
export async function foundBelow(folder: string, forms: ReadonlyMap<string, Buffer>): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    for (const form of await foundIn(path, forms)) found.push(`${path}: ${form}`);
  }
  return found;
}

/**
 * Which of the forms are in the memory that a process can read, which is all that it ever wrote. A core by gcore holds
 * the same and, for Node, 10 GB of address space that is only reserved.
 */
export async function foundInMemory(pid: number, forms: ReadonlyMap<string, Buffer>): Promise<string[]> {
  // Stopped, so that nothing moves from memory not scanned yet to memory already scanned.
  process.kill(pid, 'SIGSTOP');
  try {
    return await foundAmong(memoryOf(pid), forms);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

async function* memoryOf(pid: number): AsyncGenerator<Buffer> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  const memory = await open(`/proc/${pid}/mem`);
  try {
    for (const [, from = '', to = '', name = ''] of maps.matchAll(
      /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+ *(.*)$/gm,
    )) {
      // Mappings of the kernel cannot be read from outside.
      if (name.startsWith('[v')) continue;
      const end = Number.parseInt(to, 16);
      for (let at = Number.parseInt(from, 16); at < end;) {
        const { buffer, bytesRead } = await memory.read(Buffer.alloc(Math.min(pieceBytes, end - at)), { position: at });
        if (bytesRead === 0) break;
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    }
  } finally {
    await memory.close();
  }
}
