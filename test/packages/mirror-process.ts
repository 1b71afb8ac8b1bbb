// A mirror's cache as its own process, which a test can kill. Arguments: its folder, a data folder with its identity,
// one source as JSON, and the size of the blob. Prints its port.
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { BlobServer } from '../../lib/blobs/blob-server.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import type { Source } from '../../lib/blobs/source.ts';
import { SourceStates } from '../../lib/blobs/source-states.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { MirrorCache } from '../../mirror/cache.ts';
import { listenOpenPort } from '../../mirror/open-port.ts';
import { noMesh } from '../support/no-mesh.ts';
import '../support/keep-compiled.ts';

const [folder = '', dataDir = '', source = '', size = ''] = process.argv.slice(2);
const identity = await IdentityStore.open(dataDir);
const { authorityPem, meshId } = identity.current();
const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
const log = silentLogger();
const mesh = noMesh();
const blobs = await BlobStore.open(folder);
const cache = new MirrorCache({
  blobs,
  states: new SourceStates({ blobs, log }),
  find: (_sha256, downloadToken) => Promise.resolve({ sources: [JSON.parse(source) as Source], downloadToken }),
  connect: (to, signal) => connectSource(to, { mesh, identity, revocations, loopback: true }, signal),
  onWrongSource: () => undefined,
  limits: { quotaBytes: Number.MAX_SAFE_INTEGER, minFreeBytes: 0 },
  log,
});
const server = new BlobServer<PeerIdentity>(
  {
    authorise: () => ({ sizeBytes: Number(size) }),
    open: ({ sha256, downloadToken }, grant) => cache.open({ sha256, downloadToken, ...grant }),
    sizeOf: (sha256) => cache.sizeOf(sha256),
  },
  log,
);
const port = await listenOpenPort('127.0.0.1:0', {
  identity,
  revocations,
  denials: mesh.denials,
  log,
  onStream: (stream, peer) => server.accept(stream, peer),
});
process.stdout.write(`${port.port}\n`);
