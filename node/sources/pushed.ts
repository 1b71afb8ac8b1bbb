// The streams on which the server offers its packages to a node that may not fetch: the server opens each, and the node
// sends its request over it as over one of its own.
import { within } from '../../lib/async/deadline.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { unlessAborted } from '../../lib/async/waiting.ts';
import type { MeshStream } from '../../mesh/types.ts';

/** For the server to open a stream once one is needed. */
const OFFER_TIMEOUT_MS = 15_000;
/** The latest streams that nobody has used yet. */
const MOST_IDLE = 8;

export class PushedStreams {
  readonly #idle = new Set<MeshStream>();
  readonly #waiting = new Set<(stream: MeshStream) => void>();

  /** Takes a stream that the server has opened. */
  accept(stream: MeshStream): void {
    stream.on('error', () => undefined);
    const [waiting] = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting.delete(waiting);
      waiting(stream);
      return;
    }
    this.#idle.add(stream);
    stream.once('close', () => this.#idle.delete(stream));
    const [oldest] = this.#idle;
    if (this.#idle.size > MOST_IDLE) oldest?.destroy();
  }

  /** The next stream; UNREACHABLE when the server opens none in time. */
  async next(signal: AbortSignal): Promise<MeshStream> {
    const [idle] = this.#idle;
    if (idle !== undefined) {
      this.#idle.delete(idle);
      return idle;
    }
    const { promise, resolve } = Promise.withResolvers<MeshStream>();
    this.#waiting.add(resolve);
    const late = () =>
      new IsthmusError('UNREACHABLE', 'the server offers no stream for the package', { hop: 'server' });
    try {
      return await within(unlessAborted(promise, [signal]), { ms: OFFER_TIMEOUT_MS, late });
    } finally {
      this.#waiting.delete(resolve);
    }
  }
}
