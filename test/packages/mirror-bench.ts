// A mirror's cache behind its real open port, in front of origins of the test, without a mesh around it.
import { randomUUID } from 'node:crypto';
import { connect as tlsConnect } from 'node:tls';
import { onTestFinished } from 'vitest';
import { linkClientOptions } from '../../certs/tls.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { askForBlob } from '../../lib/blobs/blob-client.ts';
import { BlobServer, type BlobServerLimits } from '../../lib/blobs/blob-server.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import type { MeshSource } from '../../lib/blobs/source.ts';
import { SourceStates } from '../../lib/blobs/source-states.ts';
import type { Floors } from '../../lib/blobs/progress-floor.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { Denials } from '../../mesh/denials.ts';
import { MirrorCache } from '../../mirror/cache.ts';
import type { CacheState } from '../../mirror/saved-state.ts';
import { listenOpenPort } from '../../mirror/open-port.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { TestMesh, TestNode } from '../support/identities.ts';
import { noMesh } from '../support/no-mesh.ts';

export interface MirrorBench {
  readonly cache: MirrorCache;
  readonly blobs: BlobStore;
  readonly port: number;
  /** The download tokens that the mirror denied. */
  readonly deniedTokens: readonly string[];
  /** Everything the mirror sends for a blob from byte `from` on; with the error when the answer breaks off. */
  get(
    wanted: { sha256: string; sizeBytes: number },
    from?: number,
  ): Promise<{ bytes: Buffer; error: IsthmusError | undefined }>;
  /** Sends raw HTTP and returns the whole answer. */
  raw(request: string): Promise<string>;
  stop(): Promise<void>;
}

export interface MirrorBenchOptions {
  readonly folder: string;
  readonly sources: readonly Omit<MeshSource, 'kind'>[];
  readonly quotaBytes?: number;
  readonly minFreeBytes?: number;
  readonly lowWaterPercent?: number;
  readonly saved?: Partial<CacheState>;
  readonly stallMs?: number;
  /** How long its targets bear silence. */
  readonly targetStallMs?: number;
  readonly floors?: Floors;
  readonly limits?: Partial<BlobServerLimits>;
  /** Called with each chunk of the bodies that `get` receives. */
  readonly onChunk?: (bytes: number) => void;
}

/** The download token that the bench's mirrors accept: it names the size, as a real one does. */
export function testDownloadToken(sizeBytes: number): string {
  return `size-${sizeBytes}`;
}

export async function startMirrorBench(mesh: TestMesh, options: MirrorBenchOptions): Promise<MirrorBench> {
  const self = await mesh.node(`mirror-${randomUUID().slice(0, 8)}`, 'mirror');
  const client = await mesh.node('tentacle-1', 'tentacle');
  const blobs = await BlobStore.open(options.folder);
  const cache = new MirrorCache({
    blobs,
    find: (_sha256, downloadToken) =>
      Promise.resolve({ sources: options.sources.map((each) => ({ ...each, kind: 'mesh' })), downloadToken }),
    states: new SourceStates({ blobs, log: silentLogger() }),
    connect: (source, signal) => connectSource(source, accessOf(self), signal),
    onWrongSource: () => undefined,
    limits: {
      quotaBytes: options.quotaBytes ?? Number.MAX_SAFE_INTEGER,
      minFreeBytes: options.minFreeBytes ?? 0,
      lowWaterPercent: options.lowWaterPercent,
    },
    ...(options.saved === undefined ? {} : { saved: options.saved }),
    log: silentLogger(),
    stallMs: options.stallMs ?? 5_000,
    floors: options.floors,
  });
  const deniedTokens: string[] = [];
  const server = new BlobServer<PeerIdentity>(
    {
      authorise: ({ downloadToken }) => {
        const size = /^size-(\d+)$/.exec(downloadToken)?.[1];
        if (size !== undefined) return { sizeBytes: Number(size) };
        deniedTokens.push(downloadToken);
        throw new IsthmusError('FORBIDDEN', 'no');
      },
      open: ({ sha256, downloadToken }, { sizeBytes }) => cache.open({ sha256, sizeBytes, downloadToken }),
      sizeOf: (sha256) => cache.sizeOf(sha256),
    },
    silentLogger(),
    options.limits,
  );
  const port = await listenOpenPort('127.0.0.1:0', {
    ...{ identity: self.identity, revocations: self.revocations, denials: new Denials(), log: silentLogger() },
    onStream: (stream, peer) => server.accept(stream, peer),
  });
  let stopped: Promise<void> | undefined;
  const stop = () =>
    (stopped ??= (async () => {
      await port.stop();
      server.stop();
      await cache.stop();
    })());
  onTestFinished(stop);
  const source = {
    kind: 'mesh' as const,
    node: self.identity.current().node,
    path: [],
    url: `https://127.0.0.1:${port.port}`,
  };
  return {
    ...{ cache, blobs, port: port.port, deniedTokens, stop },
    get: async ({ sha256, sizeBytes }, from = 0) => {
      const signal = new AbortController().signal;
      const chunks: Buffer[] = [];
      try {
        const stream = await connectSource(source, accessOf(client), signal);
        const question = {
          sha256,
          downloadToken: testDownloadToken(sizeBytes),
          fromByte: from,
          signal,
          stallMs: options.targetStallMs ?? 20_000,
        };
        for await (const chunk of (await askForBlob(stream, question)).body) {
          chunks.push(chunk);
          options.onChunk?.(chunk.length);
        }
        return { bytes: Buffer.concat(chunks), error: undefined };
      } catch (thrown) {
        return { bytes: Buffer.concat(chunks), error: IsthmusError.from(thrown) };
      }
    },
    raw: (request) => raw(port.port, client, request),
  };
}

function accessOf({ identity, revocations }: TestNode) {
  return {
    mesh: noMesh(),
    identity,
    revocations,
    loopback: true,
  };
}

function raw(port: number, client: TestNode, request: string): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const options = linkClientOptions(client.identity.current());
    const socket = tlsConnect({ ...options, host: '127.0.0.1', port }, () => socket.write(request));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}
