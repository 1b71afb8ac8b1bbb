// The starts of a node's process, in its data folder: a random nonce for each, the newest first. Whoever copies the
// folder copies the list as it is then; from the next start on, each of the two has a nonce that the other lacks. So a
// server that knows the newest nonce it has admitted can tell a restart from a copy: only a restart has that nonce.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { IsthmusError } from '../contract/errors.ts';
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
  readonly hostname: string;
}

interface StartsFile {
  readonly count: number;
  readonly nonces: readonly string[];
}

export class NodeStarts {
  readonly #path: string;
  readonly #nonce = randomBytes(NONCE_BYTES).toString('hex');
  #told: NodeStart | undefined;

  /** `folder` is that of the identity. */
  constructor(folder: string) {
    this.#path = join(folder, FILE_NAME);
  }

  /**
   * This start with all before it. It is on the disk before it is told: else the next start would lack it. A start that
   * tells nobody leaves nothing.
   */
  tell(): NodeStart {
    if (this.#told !== undefined) return this.#told;
    const { count, nonces } = this.#read();
    const all: NodeStart['nonces'] = [this.#nonce, ...nonces.slice(0, MAX_NONCES - 1)];
    const file: StartsFile = { count: count + 1, nonces: all };
    writeDurably(this.#path, `${JSON.stringify(file)}\n`);
    this.#told = { count: count + 1, nonces: all, hostname: hostname() };
    return this.#told;
  }

  #read(): StartsFile {
    if (!existsSync(this.#path)) return { count: 0, nonces: [] };
    try {
      const { count, nonces } = JSON.parse(readFileSync(this.#path, 'utf8')) as Partial<StartsFile>;
      if (typeof count === 'number' && Array.isArray(nonces) && nonces.every((each) => typeof each === 'string')) {
        return { count, nonces };
      }
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
    }
    throw new IsthmusError('IDENTITY_INVALID', `${this.#path} is not a list of starts`);
  }
}
