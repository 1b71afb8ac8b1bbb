// Joins the two streams of a tunnel at a relay, with back-pressure and ends passed on.
import type { Duplex } from 'node:stream';
import { closeWithin } from '../../lib/async/deadline.ts';

/** How long the last bytes may take after their source has closed. */
const LINGER_MS = 30_000;

/** Joins two streams. When one is lost, so is the other; when one ends cleanly, the other ends after its last byte. */
export function splice(left: Duplex, right: Duplex, onClosed: () => void): void {
  let open = 2;
  const closed = (stream: Duplex, other: Duplex) => {
    open -= 1;
    if (open === 0) {
      onClosed();
    } else if (stream.readableEnded) {
      closeWithin(other, LINGER_MS);
      // Its bytes are dropped, but its end must be read. Unpiped first: pipe() would pause it again.
      other.unpipe(stream);
      other.resume();
    } else {
      other.destroy();
    }
  };
  const tie = (stream: Duplex, other: Duplex) => {
    stream.on('error', () => undefined);
    if (stream.closed) closed(stream, other);
    else stream.once('close', () => closed(stream, other));
    stream.pipe(other);
  };
  tie(left, right);
  tie(right, left);
}
