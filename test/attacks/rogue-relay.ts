// A compromised relay, with control of every byte it carries. It records what it forwards, flips bits, cuts tunnels,
// and opens tunnels of its own into which it writes what it likes; the rest is the real mesh code, with its own valid
// certificate. Imports types only: it must exist before the modules that it replaces are loaded. The test file that
// uses it mocks mesh/tunnel/splice.ts with `splice` and `openSession` of mesh/e2e/session.ts with `innerOf`.
import { Transform } from 'node:stream';
import type { openSession } from '../../mesh/e2e/session.ts';
import type { Trust } from '../../mesh/trust.ts';
import type { splice } from '../../mesh/tunnel/splice.ts';

type CallInner = typeof openSession;
type Splice = typeof splice;

/** From the opening endpoint of the tunnel to the other one, or back. */
export type Direction = 'there' | 'back';

interface Carried {
  /** As in the ALPN of the end-to-end handshake, which the relay reads. */
  service: string | undefined;
  readonly bytes: Record<Direction, Buffer[]>;
  seen: Record<Direction, number>;
  swallowed: boolean;
  cut(): void;
}

/** What the relay does; the mocks below read it. */
export class Rogue {
  readonly carried: Carried[] = [];
  #flip: { direction: Direction; at: number; mask: number } | undefined;
  #replay: Buffer | undefined;
  #disguise: Trust | undefined;

  /** Flips one bit of the next byte number `at` that a tunnel to `tentacle` carries in a direction. */
  flipNext(direction: Direction, at: number, mask = 0x01): void {
    this.#flip = { direction, at, mask };
  }

  /** Whether the requested flip has been made. */
  get flipped(): boolean {
    return this.#flip === undefined;
  }

  /** Cuts every tunnel to `tentacle`. */
  cut(): void {
    for (const tunnel of this.carried) if (tunnel.service === 'tentacle') tunnel.cut();
  }

  /** Drops from now on what its present tunnels carry, both ways, and leaves them open. */
  swallow(): void {
    for (const tunnel of this.carried) tunnel.swallowed = true;
  }

  /** What the relay's next tunnels carry instead of an end-to-end session of its own. */
  replayInstead(bytes: Buffer | undefined): void {
    this.#replay = bytes;
  }

  /** The identity that the relay's next tunnels claim. */
  disguiseAs(trust: Trust | undefined): void {
    this.#disguise = trust;
  }

  readonly splice: Splice = (left, right, onClosed) => {
    const tunnel: Carried = {
      service: undefined,
      bytes: { there: [], back: [] },
      seen: { there: 0, back: 0 },
      swallowed: false,
      cut: () => left.destroy(),
    };
    this.carried.push(tunnel);
    left.on('error', () => undefined).once('close', () => right.destroy());
    right.on('error', () => undefined).once('close', () => left.destroy());
    left.pipe(this.#hand(tunnel, 'there')).pipe(right);
    right.pipe(this.#hand(tunnel, 'back')).pipe(left);
    left.once('close', onClosed);
  };

  readonly innerOf =
    (real: CallInner): CallInner =>
    async (transport, trust, target) => {
      const replay = this.#replay;
      if (trust.identity.current().role !== 'relay') return real(transport, trust, target);
      if (replay === undefined) return real(transport, this.#disguise ?? trust, target);
      transport.on('error', () => undefined).resume();
      transport.write(replay);
      await new Promise((resolve) => transport.once('close', resolve));
      throw new Error('the other end closed the tunnel');
    };

  /** Counts from now on: `flipNext` is about bytes to come, also in an open tunnel. */
  restartCount(): void {
    for (const tunnel of this.carried) tunnel.seen = { there: 0, back: 0 };
  }

  #hand(tunnel: Carried, direction: Direction): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        if (tunnel.swallowed) return done();
        if (direction === 'there') tunnel.service ??= /isthmus-([a-z]+)\/1/.exec(chunk.toString('latin1'))?.[1];
        tunnel.bytes[direction].push(Buffer.from(chunk));
        const bytes = Buffer.from(chunk);
        const flip = this.#flip;
        if (flip !== undefined && flip.direction === direction && tunnel.service === 'tentacle') {
          const at = flip.at - tunnel.seen[direction];
          if (at >= 0 && at < bytes.length) {
            bytes[at]! ^= flip.mask;
            this.#flip = undefined;
          }
        }
        tunnel.seen[direction] += bytes.length;
        done(null, bytes);
      },
    });
  }
}
