// A node's identity on disk: one file (0600), so that certificate and key are replaced together or not at all.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../lib/files/durable.ts';
import { readSecret } from '../lib/files/private.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { PeerIdentity } from './peer.ts';
import type { NodeRole } from '../contract/nodes.ts';
import { NodeStarts, type NodeStart } from './starts.ts';
import { verifyCertificate } from './verify.ts';

export interface NodeIdentity {
  readonly meshId: string;
  readonly node: string;
  readonly role: NodeRole;
  readonly site: string | null;
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly authorityPem: string;
}

const FILE_NAME = 'node.json';
const PENDING_NAME = 'pending-key.pem';

/** What must stay secret of an identity, below a data folder. */
export const IDENTITY_SECRETS: readonly string[] = [`identity/${FILE_NAME}`, `identity/${PENDING_NAME}`];

/** The folder of the identity in a data folder. */
export function identityFolder(dataDir: string): string {
  return join(dataDir, 'identity');
}

/** Writes the identity of a node that has none yet. */
export function writeIdentity(folder: string, identity: NodeIdentity): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeDurably(join(folder, FILE_NAME), `${JSON.stringify(identity, null, 1)}\n`);
}

export class IdentityStore {
  readonly #folder: string;
  readonly #listeners = new Set<(identity: NodeIdentity) => void>();
  readonly #starts: NodeStarts;
  #identity: NodeIdentity;
  #peer: PeerIdentity;

  private constructor(folder: string, identity: NodeIdentity) {
    this.#folder = folder;
    this.#starts = new NodeStarts(folder);
    this.#identity = identity;
    this.#peer = provenIdentity(identity);
  }

  /** Opens the identity in a data folder. IDENTITY_MISSING when there is none, IDENTITY_INVALID when it is unusable. */
  static open(dataDir: string): Promise<IdentityStore> {
    return Promise.resolve().then(() => {
      const folder = identityFolder(dataDir);
      return new IdentityStore(folder, readIdentityFile(join(folder, FILE_NAME)));
    });
  }

  /** The present key, certificate and authority. Call it for every connection; never keep the result. */
  current(): NodeIdentity {
    return this.#identity;
  }

  /** This node's identity by its present certificate. */
  peer(): PeerIdentity {
    return this.#peer;
  }

  /** What this process tells a peer about its start. Servers and nodes that still join tell nothing. */
  startFor(peer: Pick<PeerIdentity, 'role'>): NodeStart | undefined {
    const { role, provisional } = this.#peer;
    if (role === 'server' || provisional === true) return undefined;
    const start = this.#starts.tell();
    return peer.role === 'server' ? start : { ...start, nonces: [start.nonces[0]], ofThisFolder: 1 };
  }

  /** The key of a renewal in progress. It is stored before it is sent, so that a lost answer does no harm. */
  pendingKey(): string | undefined {
    const path = join(this.#folder, PENDING_NAME);
    return existsSync(path) ? readSecret(path).toString() : undefined;
  }

  setPendingKey(keyPem: string): void {
    writeDurably(join(this.#folder, PENDING_NAME), keyPem);
  }

  /** Replaces certificate and key: first on the disk, then in use; then notifies every listener. */
  replace(certificatePem: string, keyPem: string): Promise<void> {
    return Promise.resolve().then(() => {
      const next = { ...this.#identity, certificatePem, keyPem };
      const peer = provenIdentity(next);
      if (peer.node !== this.#peer.node || peer.role !== this.#peer.role) {
        throw new IsthmusError('IDENTITY_INVALID', `a certificate of ${peer.node} (${peer.role}) is not this node's`);
      }
      writeDurably(join(this.#folder, FILE_NAME), `${JSON.stringify(next, null, 1)}\n`);
      rmSync(join(this.#folder, PENDING_NAME), { force: true });
      this.#identity = next;
      this.#peer = peer;
      for (const listener of this.#listeners) listener(next);
    });
  }

  /** Calls `listener` after every change; returns how to stop that. */
  onChange(listener: (identity: NodeIdentity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function readIdentityFile(path: string): NodeIdentity {
  if (!existsSync(path)) throw new IsthmusError('IDENTITY_MISSING', `there is no node identity at ${path}`);
  let value: unknown;
  try {
    value = JSON.parse(readSecret(path).toString());
  } catch (thrown) {
    if (thrown instanceof IsthmusError) throw thrown;
    // Without the parser's message: it would quote the file, which holds a private key.
    const reason = thrown instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
    throw new IsthmusError('IDENTITY_INVALID', `${path} ${reason}`);
  }
  if (!isNodeIdentity(value)) throw new IsthmusError('IDENTITY_INVALID', `${path} lacks a field of the identity`);
  return value;
}

function isNodeIdentity(value: unknown): value is NodeIdentity {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Record<string, unknown> = { ...value };
  const texts = ['meshId', 'node', 'role', 'keyPem', 'certificatePem', 'authorityPem'];
  return (
    texts.every((name) => typeof fields[name] === 'string') && (fields.site === null || typeof fields.site === 'string')
  );
}

/** The identity in the certificate, once key, certificate, authority and the plain fields agree. */
function provenIdentity(identity: NodeIdentity): PeerIdentity {
  try {
    const certificate = new X509Certificate(identity.certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(identity.keyPem)))
      throw new Error('the key does not belong to the certificate');
    // An expired certificate is still an identity; the caller decides what to do.
    const named = verifyCertificate(certificate, identity, { nowMs: certificate.validToDate.getTime() });
    if (named.node !== identity.node || named.role !== identity.role)
      throw new Error(`the certificate names another node, ${named.node} (${named.role})`);
    return named;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new IsthmusError('IDENTITY_INVALID', `the identity of ${identity.node} cannot be used: ${reason}`, {
      cause: thrown,
    });
  }
}
