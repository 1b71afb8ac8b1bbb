// The end-to-end sessions of this node. TLS checks expiry and revocation only in the handshake, so each session has a
// timer for its peer's certificate, and all are checked when the revocation list changes.
import { sessionName } from '../../certs/credential.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import type { MeshStream } from '../types.ts';
import type { Trust } from '../trust.ts';

export class OpenSessions {
  readonly #streams = new Map<MeshStream, LongTimer>();
  /** Those that other nodes opened, by the name that both endpoints export. */
  readonly #accepted = new Map<string, MeshStream>();
  readonly #trust: Trust;
  readonly #closed = new Set<() => void>();

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  /** Watches a session until it closes. `opened` says at which endpoint. */
  add(stream: MeshStream, opened: 'here' | 'there'): void {
    if (stream.destroyed) return;
    const expiry = new LongTimer(stream.peer.notAfterMs, () => stream.destroy(), { keepsAlive: false });
    this.#streams.set(stream, expiry);
    const name = opened === 'there' ? sessionName(stream).toString('hex') : undefined;
    if (name !== undefined) this.#accepted.set(name, stream);
    stream.once('close', () => {
      expiry.stop();
      this.#streams.delete(stream);
      if (name !== undefined) this.#accepted.delete(name);
      for (const closed of [...this.#closed]) closed();
    });
    const { revocations, starts } = this.#trust;
    const { peer, start } = stream;
    // Another start may have been admitted while this session opened.
    const superseded = start !== undefined && starts?.isCurrent(peer.node, start.nonces[0]) === false;
    if (superseded || revocations.isRevoked(peer)) stream.destroy();
  }

  /** The live session of this name that `node` opened to this node. */
  openedBy(node: string, name: Buffer): MeshStream | undefined {
    const stream = this.#accepted.get(name.toString('hex'));
    return stream?.peer.node === node ? stream : undefined;
  }

  /** The other endpoint has proven a renewed certificate: from now on expiry and revocation follow it. */
  proved(stream: MeshStream, peer: PeerIdentity): void {
    Object.assign(stream, { peer });
    this.#streams.get(stream)?.moveTo(peer.notAfterMs);
  }

  /** Whether a session with this start of a node is live. */
  hasStart(node: string, nonce: string): boolean {
    return [...this.#streams.keys()].some(({ peer, start }) => peer.node === node && start?.nonces[0] === nonce);
  }

  /** Closes the sessions with all other starts of a node. */
  closeOtherStarts(node: string, nonce: string): void {
    for (const stream of this.#streams.keys()) {
      if (stream.peer.node === node && stream.start?.nonces[0] !== nonce) stream.destroy();
    }
  }

  /** Calls back after a session has closed; returns a function that stops it. */
  onClosed(callback: () => void): () => void {
    this.#closed.add(callback);
    return () => this.#closed.delete(callback);
  }

  /** Closes the sessions of revoked peers. */
  closeRevoked(): void {
    for (const stream of this.#streams.keys()) if (this.#trust.revocations.isRevoked(stream.peer)) stream.destroy();
  }

  closeAll(): void {
    for (const stream of this.#streams.keys()) stream.destroy();
  }
}
