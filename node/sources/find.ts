// Where a mirror fetches from: it asks the server each time, and keeps the last answer on disk for when the server is
// down.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../lib/durable.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import type { Logger } from '../../lib/log.ts';
import type { Place } from '../../lib/packages/fetch.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { FindSourcesResponse__Output } from '../../proto/gen/isthmus/topology/v1/FindSourcesResponse.ts';
import type { SourcesClient } from '../../proto/gen/isthmus/topology/v1/Sources.ts';

export interface Source {
  /** Nearest first. */
  readonly places: readonly Place[];
  /** What the places are shown. */
  readonly pass: string;
}

/** Finds where a digest is to be had; `pass` is the one of the node that asks for it. */
export type FindSource = (sha256: string, pass: string) => Promise<Source>;

/** Shorter than a target waits for its first byte, so that a server that hangs does not cost the download. */
const askTimeoutMs = 8_000;

export class SourceFinder {
  readonly #client: GrpcClient<SourcesClient>;
  readonly #path: string;
  readonly #log: Logger;
  #last: readonly Place[];

  private constructor(mesh: Pick<Mesh, 'dial'>, path: string, last: readonly Place[], log: Logger) {
    const { Sources } = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;
    const dial = (signal: AbortSignal) =>
      mesh.dial({ node: 'server', service: 'topology', class: 'control', deadlineMs: askTimeoutMs, signal });
    this.#client = grpcClient<SourcesClient>(Sources, dial, { hop: 'server' });
    this.#path = path;
    this.#last = last;
    this.#log = log;
  }

  static async open(mesh: Pick<Mesh, 'dial'>, dataDir: string, log: Logger): Promise<SourceFinder> {
    const path = join(dataDir, 'places.json');
    return new SourceFinder(mesh, path, await readPlaces(path), log);
  }

  /** Asks the server. When it cannot be asked: the places it named last, with the asker's own pass. */
  async find(sha256: string, pass: string): Promise<Source> {
    try {
      const found = await this.#client.unary<FindSourcesResponse__Output>(
        (client, options, done) => client.find({ sha256 }, options, done),
        { deadlineMs: askTimeoutMs },
      );
      const places = found.sources.map(({ node, path, url }) => ({ node, path, ...(url === '' ? {} : { url }) }));
      this.#keep(places);
      return { places, pass: found.downloadToken };
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      if (error.code === 'FORBIDDEN' || this.#last.length === 0) throw error;
      this.#log.warn({ code: error.code }, 'the server cannot be asked; using the places it named last');
      return { places: this.#last, pass };
    }
  }

  stop(): void {
    this.#client.close();
  }

  #keep(places: readonly Place[]): void {
    if (JSON.stringify(places) === JSON.stringify(this.#last)) return;
    this.#last = places;
    try {
      writeDurably(this.#path, `${JSON.stringify(places, null, 1)}\n`);
    } catch (err) {
      this.#log.error({ err }, 'the places cannot be remembered');
    }
  }
}

async function readPlaces(path: string): Promise<readonly Place[]> {
  try {
    // Written by writeDurably above only.
    return JSON.parse(await readFile(path, 'utf8')) as Place[];
  } catch {
    return [];
  }
}
