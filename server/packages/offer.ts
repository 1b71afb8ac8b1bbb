// Offers the feed to a node that may not fetch: the server opens the streams, one after the other, for as long as the node
// is to acquire a package. The node sends the requests, so that resuming, floors and digests are those of any fetch.
import { once } from 'node:events';
import { pause } from '../../lib/async/waiting.ts';
import type { Mesh, MeshStream } from '../../mesh/types.ts';

/** The service of a node at which it takes such streams. */
export const PUSH_SERVICE = 'push';

const DIAL_TIMEOUT_MS = 12_000;
/** Between two streams, also after one that could not be opened. */
const PAUSE_MS = 250;

/** Resolves once `signal` has aborted; what it began has ended then. */
export async function offerFeed(
  dial: Mesh['dial'],
  serve: (stream: MeshStream) => void,
  node: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // A path that does not lead there is told by the order to acquire.
    const stream = await dial({
      node,
      service: PUSH_SERVICE,
      class: 'bulk',
      deadlineMs: DIAL_TIMEOUT_MS,
      signal,
    }).catch(() => undefined);
    if (stream !== undefined) {
      serve(stream);
      await once(stream, 'close', { signal }).catch(() => undefined);
      stream.destroy();
    }
    await pause(PAUSE_MS, signal);
  }
}
