// The revocation list: signed by the authority, versioned, flooded from neighbour to neighbour. It is kept on disk, so
// that a node that restarts without the server still denies revoked nodes.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { background } from '../lib/async/background.ts';
import { writeDurably } from '../lib/files/durable.ts';
import { loadDefinitions, messageCodec } from '../lib/grpc/load.ts';
import { silentLogger, type Logger } from '../lib/telemetry/log.ts';
import type { RevocationList__Output } from '../proto/gen/isthmus/mesh/v1/RevocationList.ts';
import type { RevocationStatement__Output } from '../proto/gen/isthmus/mesh/v1/RevocationStatement.ts';
import { verifyStatement } from './authority-signature.ts';
import { BACKDATE_MS } from './keys.ts';
import type { PeerIdentity } from './peer.ts';

const types = loadDefinitions('isthmus/mesh/v1/link.proto').isthmus.mesh.v1;
const listCodec = messageCodec(types.RevocationList);
const statementCodec = messageCodec(types.RevocationStatement);
const FILE_NAME = 'revocations.bin';
/** How often writing the list is tried again. */
const RETRY_MS = 5_000;

/** The outcome of an offered list. */
export type MergeOutcome = 'newer' | 'same' | 'older' | 'invalid';

/** A list as it is sent. Version 0 in `Hello` means that there is none. */
export type SignedRevocations = Pick<RevocationList__Output, 'statement' | 'signature'>;

interface Entry {
  readonly node: string;
  /** Certificates issued up to this moment are revoked. */
  readonly revokedAtMs: number;
}

type Known =
  { kind: 'none' } | { kind: 'list'; version: number; entries: Map<string, number>; signed: SignedRevocations };

export class RevocationList {
  readonly #path: string;
  readonly #authorityPem: string;
  readonly #meshId: string;
  readonly #log: Logger;
  readonly #listeners = new Set<() => void>();
  #known: Known = { kind: 'none' };
  #retry: NodeJS.Timeout | undefined;

  private constructor(path: string, authorityPem: string, meshId: string, log: Logger) {
    this.#path = path;
    this.#authorityPem = authorityPem;
    this.#meshId = meshId;
    this.#log = log;
  }

  /** Opens the list of a data folder. A file that the authority did not sign is ignored. */
  static open(
    dataDir: string,
    authorityPem: string,
    meshId: string,
    log: Logger = silentLogger(),
  ): Promise<RevocationList> {
    return Promise.resolve().then(() => {
      mkdirSync(dataDir, { recursive: true });
      const list = new RevocationList(join(dataDir, FILE_NAME), authorityPem, meshId, log);
      if (existsSync(list.#path)) list.#take(readSigned(readFileSync(list.#path)));
      return list;
    });
  }

  /** 0 when no node was ever revoked. */
  get version(): number {
    return this.#known.kind === 'none' ? 0 : this.#known.version;
  }

  /** The list to send to a neighbour; undefined when there is none. */
  encode(): SignedRevocations | undefined {
    return this.#known.kind === 'none' ? undefined : this.#known.signed;
  }

  entries(): Entry[] {
    if (this.#known.kind === 'none') return [];
    return [...this.#known.entries].map(([node, revokedAtMs]) => ({ node, revokedAtMs }));
  }

  /**
   * Adopts an offered list when the authority signed it and it is newer: writes it to the disk and notifies every
   * listener. When the write fails, the list is in force all the same, and the write is tried again until it succeeds.
   */
  merge(offered: SignedRevocations): MergeOutcome {
    const outcome = this.#take(offered);
    if (outcome === 'newer') {
      this.#keep();
      for (const listener of this.#listeners) background('revocations.listener', this.#log, listener);
    }
    return outcome;
  }

  /** Whether the peer's certificate is revoked. One issued later, after a new enrolment, is not. */
  isRevoked(peer: PeerIdentity): boolean {
    if (this.#known.kind === 'none') return false;
    const revokedAtMs = this.#known.entries.get(peer.node);
    return revokedAtMs !== undefined && peer.notBeforeMs + BACKDATE_MS <= revokedAtMs;
  }

  /** Calls `listener` after every change; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #keep(): void {
    clearTimeout(this.#retry);
    if (this.#known.kind === 'none') return;
    const { signed, version } = this.#known;
    try {
      writeDurably(this.#path, listCodec.encode(signed));
    } catch (err) {
      this.#log.error({ err, version }, 'the revocation list is in force but cannot be written; trying again');
      this.#retry = setTimeout(() => this.#keep(), RETRY_MS);
      this.#retry.unref();
    }
  }

  #take(offered: SignedRevocations | undefined): MergeOutcome {
    const statement = offered && this.#verified(offered);
    if (offered === undefined || statement === undefined) return 'invalid';
    if (statement.version < this.version) return 'older';
    if (statement.version === this.version) return 'same';
    const entries = new Map(statement.nodes.map((entry) => [entry.node, entry.revokedAtMs]));
    this.#known = { kind: 'list', version: statement.version, entries, signed: offered };
    return 'newer';
  }

  #verified({ statement, signature }: SignedRevocations): RevocationStatement__Output | undefined {
    // The signature is checked first: nothing is parsed that the authority did not sign.
    if (!verifyStatement(this.#authorityPem, 'revocations', statement, signature)) return undefined;
    const decoded = statementCodec.decode(statement);
    return decoded.meshId === this.#meshId && decoded.version > 0 ? decoded : undefined;
  }
}

/** The bytes that the authority signs as a statement of kind 'revocations'. */
export function revocationStatement(meshId: string, version: number, nodes: readonly Entry[]): Buffer {
  return statementCodec.encode({ meshId, version, nodes: [...nodes] });
}

function readSigned(bytes: Buffer): SignedRevocations | undefined {
  try {
    return listCodec.decode(bytes);
  } catch {
    return undefined;
  }
}
