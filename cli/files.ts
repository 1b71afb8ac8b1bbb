// Reads the files that a command line names. A pipe or a terminal that never ends stops at Ctrl-C, and nothing without an
// end fills the memory.
import { closeSync, constants, createReadStream, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { isatty, ReadStream } from 'node:tty';
import { IsthmusError } from '../contract/errors.ts';
import { decodeText } from '../lib/text/read-text.ts';
import { warn, type Terminal } from './terminal.ts';

/** More than any script, value or process may have. */
const LARGEST_BYTES = 16 * 1024 * 1024;

/**
 * The text of `file`, or of standard input for `-`, without its byte order mark. FILE_UNUSABLE when it cannot be read,
 * TEXT_INVALID when it is not UTF-8, CANCELLED at Ctrl-C.
 */
export async function readInput(file: string, terminal: Terminal, what: string): Promise<string> {
  const name = file === '-' ? 'standard input' : file;
  const { text, hadMark } = decodeText(await readAll(file, terminal, what), name);
  if (hadMark) warn(terminal, `note: the byte order mark of ${name} was left out`);
  return text;
}

/** The content of `file`, or of standard input for `-`, without one trailing newline; FILE_UNUSABLE when it is empty. */
export async function readSecret(file: string, terminal: Terminal, what: string): Promise<string> {
  const content = (await readInput(file, terminal, what)).replace(/\r?\n$/, '');
  if (content === '') throw unusable(what, `${file === '-' ? 'standard input' : file} is empty`);
  return content;
}

async function readAll(file: string, terminal: Terminal, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    const stream = addAbortSignal(terminal.signal, file === '-' ? terminal.stdin : openFile(file));
    for await (const chunk of stream) {
      chunks.push(Buffer.from(chunk as Buffer));
      bytes += (chunk as Buffer).length;
      if (bytes > LARGEST_BYTES) throw unusable(what, `${file} is larger than ${LARGEST_BYTES} bytes`);
    }
  } catch (thrown) {
    if (thrown instanceof IsthmusError) throw thrown;
    if (terminal.signal.aborted) throw new IsthmusError('CANCELLED', 'stopped; nothing was done', { cause: thrown });
    throw unusable(what, `cannot read ${file} (${(thrown as NodeJS.ErrnoException).code ?? 'error'})`, thrown);
  }
  return Buffer.concat(chunks);
}

/** A reader of any kind of file. To open a pipe without O_NONBLOCK would wait for its writer, and could not be stopped. */
function openFile(file: string): Readable {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (fstatSync(fd).isFIFO()) return new Socket({ fd, readable: true, writable: false });
    if (isatty(fd)) return new ReadStream(fd);
    return createReadStream(file, { fd });
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}

function unusable(what: string, why: string, cause?: unknown): IsthmusError {
  return new IsthmusError('FILE_UNUSABLE', `${what}: ${why}`, {
    remedy: 'Name a file that exists, may be read and is not empty, or - for standard input.',
    cause,
  });
}
