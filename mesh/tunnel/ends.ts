// The inner sessions that end at this node: each has a timer for its peer's certificate, and all are looked through
// when the revocation list changes, because TLS looks at neither again.
import { sessionName } from '../../certs/credential.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import type { MeshStream } from '../types.ts';
import type { InnerTrust } from './inner.ts';

export class OpenEnds {
  readonly #streams = new Map<MeshStream, LongTimer>();
  /** Those that were opened from elsewhere, by what both their ends call them. */
  readonly #answered = new Map<string, MeshStream>();
  readonly #trust: InnerTrust;

  constructor(trust: InnerTrust) {
    this.#trust = trust;
  }

  /** Keeps a session until it closes. `opened` says by which end. */
  add(stream: MeshStream, opened: 'here' | 'there'): void {
    if (stream.destroyed) return;
    const expiry = new LongTimer(stream.peer.notAfterMs, () => stream.destroy(), { keepsAlive: false });
    this.#streams.set(stream, expiry);
    const name = opened === 'there' ? sessionName(stream).toString('hex') : undefined;
    if (name !== undefined) this.#answered.set(name, stream);
    stream.once('close', () => {
      expiry.stop();
      this.#streams.delete(stream);
      if (name !== undefined) this.#answered.delete(name);
    });
    if (this.#trust.revocations.isRevoked(stream.peer)) stream.destroy();
  }

  /** The live session of this name that `node` opened to here. */
  openedBy(node: string, name: Buffer): MeshStream | undefined {
    const stream = this.#answered.get(name.toString('hex'));
    return stream?.peer.node === node ? stream : undefined;
  }

  /** The other end has proven this certificate in the session, which lives and may be revoked by it from now on. */
  proved(stream: MeshStream, peer: PeerIdentity): void {
    Object.assign(stream, { peer });
    this.#streams.get(stream)?.moveTo(peer.notAfterMs);
  }

  /** Closes the sessions of peers that are revoked now. */
  closeRevoked(): void {
    for (const stream of this.#streams.keys()) if (this.#trust.revocations.isRevoked(stream.peer)) stream.destroy();
  }

  closeAll(): void {
    for (const stream of this.#streams.keys()) stream.destroy();
  }

  get count(): number {
    return this.#streams.size;
  }
}
