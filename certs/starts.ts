// The starts of a node's process, in its data folder: a random nonce for each, the newest first. Whoever copies the
// folder copies the list as it is then; from the next start on, each of the two has a nonce that the other lacks. So a
// server that knows the newest nonce it has admitted can tell a restart from a copy: only a restart has that nonce.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { IsthmusError } from '../contract/errors.ts';
import { bootId } from '../lib/boot-id.ts';
import { writeDurably } from '../lib/files/durable.ts';

const FILE_NAME = 'starts.json';
export const NONCE_BYTES = 8;
/** A list that is too long loses its oldest ones: a server would have to miss this many starts in a row. */
export const MAX_NONCES = 1_000;

/** Which start of its process a node is. */
export interface NodeStart {
  /** How many starts have been told, with this one. */
  readonly count: number;
  /** In hex, this start first. */
  readonly nonces: readonly [string, ...string[]];
  /**
   * How many of the nonces, newest first, were told from this very folder since the machine's last boot. This process
   * has all that they have written. Of older ones it may have an earlier state only: that of a copy or a snapshot.
   */
  readonly ofThisFolder: number;
  readonly hostname: string;
}

interface StartsFile {
  readonly count: number;
  readonly nonces: readonly string[];
  readonly folderId: string;
  readonly ofThisFolder: number;
}

const NO_STARTS: StartsFile = { count: 0, nonces: [], folderId: '', ofThisFolder: 0 };

export class NodeStarts {
  readonly #folder: string;
  readonly #path: string;
  readonly #nonce = randomBytes(NONCE_BYTES).toString('hex');
  #told: NodeStart | undefined;

  /** `folder` is that of the identity. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#path = join(folder, FILE_NAME);
  }

  /**
   * This start with all before it. It is on the disk before it is told: else the next start would lack it. A start that
   * tells nobody leaves nothing.
   */
  tell(): NodeStart {
    if (this.#told !== undefined) return this.#told;
    const before = this.#read();
    const nonces: NodeStart['nonces'] = [this.#nonce, ...before.nonces.slice(0, MAX_NONCES - 1)];
    const folderId = folderIdOf(this.#folder);
    const ofThisFolder = Math.min(folderId === before.folderId ? before.ofThisFolder + 1 : 1, nonces.length);
    const file: StartsFile = { count: before.count + 1, nonces, folderId, ofThisFolder };
    writeDurably(this.#path, `${JSON.stringify(file)}\n`);
    this.#told = { count: file.count, nonces, ofThisFolder, hostname: hostname() };
    return this.#told;
  }

  #read(): StartsFile {
    if (!existsSync(this.#path)) return NO_STARTS;
    try {
      const file = JSON.parse(readFileSync(this.#path, 'utf8')) as Partial<StartsFile>;
      if (isWhole(file)) return file;
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
    }
    throw new IsthmusError('IDENTITY_INVALID', `${this.#path} is not a list of starts`);
  }
}

/** Differs for every copy of a folder, and after every boot: a snapshot of a whole machine has its inodes, too. */
function folderIdOf(folder: string): string {
  const { dev, ino, birthtimeNs } = statSync(folder, { bigint: true });
  return [bootId(), dev, ino, birthtimeNs].join(' ');
}

function isWhole(file: Partial<StartsFile>): file is StartsFile {
  const { count, nonces, folderId, ofThisFolder } = file;
  const isList = Array.isArray(nonces) && nonces.every((each) => typeof each === 'string');
  return isList && typeof count === 'number' && typeof folderId === 'string' && typeof ofThisFolder === 'number';
}
