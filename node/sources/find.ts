// Finds the sources of a digest: asks the server each time, and keeps the last answer on disk for when the server is
// down.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../lib/files/durable.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { MeshSource, Source } from '../../lib/blobs/source.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { DeltaHints__Output } from '../../proto/gen/isthmus/topology/v1/DeltaHints.ts';
import type { FindSourcesResponse__Output } from '../../proto/gen/isthmus/topology/v1/FindSourcesResponse.ts';
import type { PackageSource__Output } from '../../proto/gen/isthmus/topology/v1/PackageSource.ts';
import type { SourcesClient } from '../../proto/gen/isthmus/topology/v1/Sources.ts';

export interface FoundSources {
  /** Nearest first. */
  readonly sources: readonly Source[];
  /** What the sources ask for. */
  readonly downloadToken: string;
  /** What a delta needs; absent or null where none can be made, or the server did not say. */
  readonly delta?: DeltaHints__Output | null;
}

/** Finds the sources of a digest; `downloadToken` is that of the requester. */
export type FindSources = (sha256: string, downloadToken: string) => Promise<FoundSources>;

/** Sources as a message has them: a source without an open port has an empty URL there. */
export function receivedSources(sources: readonly PackageSource__Output[]): Source[] {
  return sources.map(({ node, path, url, upstream, pushed }) => {
    if (pushed) return { kind: 'pushed' };
    if (upstream !== null) return { kind: 'upstream', id: upstream.id, url: upstream.url };
    return { kind: 'mesh', node, path, ...(url === '' ? {} : { url }) };
  });
}

/** Shorter than a target waits for its first byte, so that a hanging server does not fail the download. */
const TIMEOUT_MS = 8_000;

export class SourceFinder {
  readonly #client: GrpcClient<SourcesClient>;
  readonly #path: string;
  readonly #log: Logger;
  #last: readonly Source[];

  private constructor(mesh: Pick<Mesh, 'dial'>, path: string, last: readonly Source[], log: Logger) {
    const { Sources } = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;
    const dial = (signal: AbortSignal) =>
      mesh.dial({ node: 'server', service: 'topology', class: 'control', deadlineMs: TIMEOUT_MS, signal });
    this.#client = grpcClient<SourcesClient>(Sources, dial, { hop: 'server' });
    this.#path = path;
    this.#last = last;
    this.#log = log;
  }

  static async open(mesh: Pick<Mesh, 'dial'>, dataDir: string, log: Logger): Promise<SourceFinder> {
    const path = join(dataDir, 'sources.json');
    return new SourceFinder(mesh, path, await readSources(path), log);
  }

  /** Asks the server; when it cannot be reached, answers its last sources with the requester's own token. */
  async find(sha256: string, downloadToken: string): Promise<FoundSources> {
    try {
      const found = await this.#client.unary<FindSourcesResponse__Output>(
        (client, options, done) => client.find({ sha256 }, options, done),
        { deadlineMs: TIMEOUT_MS },
      );
      const sources = receivedSources(found.sources);
      this.#keep(sources);
      return { sources, downloadToken: found.downloadToken, delta: found.delta };
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      if (error.code === 'FORBIDDEN' || this.#last.length === 0) throw error;
      this.#log.warn({ code: error.code }, 'the server cannot be reached; using its last sources');
      return { sources: this.#last, downloadToken, delta: null };
    }
  }

  stop(): void {
    this.#client.close();
  }

  /** The URL of a server outside the mesh is that of one package. */
  #keep(found: readonly Source[]): void {
    const sources = found.filter(({ kind }) => kind === 'mesh');
    if (JSON.stringify(sources) === JSON.stringify(this.#last)) return;
    this.#last = sources;
    try {
      writeDurably(this.#path, `${JSON.stringify(sources, null, 1)}\n`);
    } catch (err) {
      this.#log.error({ err }, 'the sources cannot be kept');
    }
  }
}

async function readSources(path: string): Promise<readonly Source[]> {
  try {
    // Written by writeDurably above only; 0.1.0 wrote no kind.
    const kept = JSON.parse(await readFile(path, 'utf8')) as Omit<MeshSource, 'kind'>[];
    return kept.map((source) => ({ ...source, kind: 'mesh' }));
  } catch {
    return [];
  }
}
