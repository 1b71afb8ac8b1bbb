// What a mirror has done for its site since it joined: counted in memory, kept over restarts (saved-state.ts).
import type { BlobBody } from '../lib/blobs/blob-pump.ts';
import type { EvictionReason } from './space.ts';

export interface Counts {
  /** Requests answered from the disk. */
  hits: number;
  /** Requests that started a fetch. */
  fetches: number;
  /** Requests that followed a fetch which another one had started. */
  sharedFetches: number;
  /** Fetches that had no room in the cache. */
  uncached: number;
  /** From sources, and to requesters. */
  bytesIn: number;
  bytesOut: number;
  /** Answers of which a first byte was read, and how long those took in all. */
  firstBytes: number;
  firstByteMs: number;
  evictions: Record<EvictionReason, number>;
  damaged: number;
  repaired: number;
}

function noCounts(): Counts {
  return {
    ...{ hits: 0, fetches: 0, sharedFetches: 0, uncached: 0, bytesIn: 0, bytesOut: 0 },
    ...{ firstBytes: 0, firstByteMs: 0, damaged: 0, repaired: 0 },
    evictions: { quota: 0, 'free-space': 0, write: 0, gc: 0 },
  };
}

export class Counters {
  readonly counts: Counts;

  /** Continues what was saved; a count that it lacks begins at 0. */
  constructor(saved: Partial<Counts> = {}) {
    const none = noCounts();
    this.counts = { ...none, ...saved, evictions: { ...none.evictions, ...saved.evictions } };
  }

  /** Counts what a requester gets of a body; `sinceMs` is when it asked, by the monotonic clock. */
  served(body: BlobBody, sinceMs: number): BlobBody {
    const { counts } = this;
    let isFirst = true;
    return {
      sizeBytes: body.sizeBytes,
      isGrowing: body.isGrowing,
      read: async (position, buffer) => {
        const bytes = await body.read(position, buffer);
        if (isFirst && bytes > 0) {
          isFirst = false;
          counts.firstBytes += 1;
          counts.firstByteMs += performance.now() - sinceMs;
        }
        counts.bytesOut += bytes;
        return bytes;
      },
      close: () => body.close(),
    };
  }

  /** Counts what comes from a source. */
  async *received(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of body) {
      this.counts.bytesIn += chunk.length;
      yield chunk;
    }
  }
}
