// Encrypts the payload in a workspace (its env and sensitive values) under a key of this node. The ticket is
// bound in: a sealed file that was moved to another ticket does not open.
import { hkdfSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../../../lib/files/durable.ts';
import { readSecret } from '../../../lib/files/private.ts';
import { Sealer } from '../../../lib/secrets/seal.ts';

const KEY_BYTES = 32;

export class WorkspaceSeal {
  readonly #sealer: Sealer;

  /** Reads `<data>/seal.key`; creates it (0600) at the first start. */
  constructor(dataDir: string) {
    const path = join(dataDir, 'seal.key');
    if (!existsSync(path)) writeDurably(path, randomBytes(KEY_BYTES));
    const key = hkdfSync('sha256', readSecret(path), '', 'isthmus tentacle workspace', KEY_BYTES);
    this.#sealer = new Sealer(Buffer.from(key));
  }

  seal(ticket: string, content: Buffer): string {
    return this.#sealer.seal(content, identityOf(ticket));
  }

  /** The content; undefined when it was sealed for another ticket, by another node, or was changed. */
  unseal(ticket: string, sealed: string): Buffer | undefined {
    try {
      return this.#sealer.open(sealed, identityOf(ticket));
    } catch {
      return undefined;
    }
  }
}

function identityOf(ticket: string): string {
  return `tickets/${ticket}/payload`;
}
