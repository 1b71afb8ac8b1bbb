// A server's identity and topology with a real store and a real mesh, and nothing above: for tests of how nodes get in
// and out.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { authorityPin } from '../../certs/authority-signature.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { silentLogger } from '../../lib/log.ts';
import { createMesh } from '../../mesh/mesh.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { AuditEvent } from '../../server/store/repositories/events.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { createNamed } from '../../server/topology/named.ts';
import { startTopology, type TopologyServices } from '../../server/topology/start.ts';
import type { MadeToken, TokenInput } from '../../server/topology/tokens.ts';
import type { MeshLimits } from '../../mesh/limits.ts';
import { createTestMesh, type TestMesh, type TestNode, type TestNodeOptions } from './identities.ts';

export interface ControlPlane {
  readonly authority: TestMesh;
  readonly node: TestNode;
  readonly store: Store;
  readonly mesh: Mesh;
  readonly topology: TopologyServices;
  readonly address: string;
  readonly pin: string;
  /** A token for site eu, unless told otherwise; `parent` and `dialAddress` are for those with one parent. */
  token(input?: Partial<TokenInput> & { parent?: string; dialAddress?: string }): Promise<MadeToken>;
  revoke(id: string): Promise<void>;
  /** All audit events of a type. */
  events(type: string): Promise<AuditEvent[]>;
}

interface ControlPlaneOptions {
  readonly limits?: Partial<MeshLimits>;
  /** Of the server's own certificate. */
  readonly identity?: TestNodeOptions;
}

/** Enough attempts for a test from one address. */
const generous: MeshLimits['enrol'] = {
  bytes: 256 * 1024,
  ms: 60_000,
  concurrent: 512,
  perSecond: 1000,
  burst: 1000,
  perAddressPerSecond: 1000,
  perAddressBurst: 1000,
};

/** Starts the control plane of a new mesh on port 0; it stops when the test ends. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const log = silentLogger();
  const authority = await createTestMesh();
  const node = await authority.node('server-1', 'server', options.identity);
  const dataDir = join(authority.dataDir, 'server');
  mkdirSync(dataDir);
  const store = await openStore({ dataDir, log });
  onTestFinished(() => store.close());
  const mesh = await createMesh(
    { listen: '127.0.0.1:0', parents: [], dials: [] },
    {
      identity: node.identity,
      revocations: node.revocations,
      log,
      relaying: true,
      services: MESH_SERVICES,
      limits: { backoffBaseMs: 20, backoffCapMs: 500, enrol: generous, ...options.limits },
    },
  );
  onTestFinished(() => mesh.stop());
  const topology = await startTopology({
    store,
    authority: authority.authority,
    sealer: authority.sealer,
    identity: node.identity,
    revocations: node.revocations,
    mesh,
    log,
    findPlaces: () => ({ sources: [], downloadToken: '' }),
  });
  onTestFinished(() => topology.stop());
  await store.transaction((tx) => createNamed(tx, 'site', { id: 'eu' }, 'test'));
  return {
    authority,
    node,
    store,
    mesh,
    topology,
    address: mesh.address ?? '',
    pin: authorityPin(authority.authorityPem),
    token({ parent: only = 'server', dialAddress, ...input } = {}) {
      const parents = [{ node: only, dialAddress }];
      const whole = { role: 'tentacle' as const, site: 'eu', parents, ...input };
      return store.transaction((tx) => topology.createToken(tx, whole, 'test'));
    },
    async revoke(id) {
      const after = await store.transaction((tx) => topology.revokeNode(tx, id, 'test'));
      after();
    },
    events: async (type) => (await store.events.list({ type, limit: 1000 })).items,
  };
}
