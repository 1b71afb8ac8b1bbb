// A server's identity and topology with a real store and a real mesh, and nothing above: for tests of how nodes get in
// and out.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { authorityPin } from '../../certs/authority-signature.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMesh } from '../../mesh/mesh.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { DenialType, EventType } from '../../contract/events.ts';
import { EventSubscriptions } from '../../server/events/subscriptions.ts';
import type { AuditRecord } from '../../server/store/events/records.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { startEnrolment } from '../../server/enrolment/start.ts';
import { sites } from '../../server/inventory/sites.ts';
import { openLiveTopology, type LiveTopology } from '../../server/topology/live.ts';
import { startTopology } from '../../server/topology/start.ts';
import type { CreatedToken, TokenInput } from '../../server/enrolment/tokens.ts';
import type { MeshLimits } from '../../mesh/limits.ts';
import { createTestMesh, type TestMesh, type TestNode, type TestNodeOptions } from './identities.ts';

export interface ControlPlane {
  readonly authority: TestMesh;
  readonly node: TestNode;
  readonly store: Store;
  readonly mesh: Mesh;
  readonly topology: LiveTopology;
  readonly address: string;
  readonly pin: string;
  /** A token for site eu, unless told otherwise; `parent` and `dialAddress` are for those with one parent. */
  token(input?: Partial<TokenInput> & { parent?: string; dialAddress?: string }): Promise<CreatedToken>;
  revoke(id: string): Promise<void>;
  /** All events of a type. */
  events(type: EventType): Promise<AuditRecord[]>;
  /** All denials of a type. */
  denials(type: DenialType): Promise<AuditRecord[]>;
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
  const topology = await openLiveTopology(store);
  onTestFinished(topology.followLinks(mesh));
  const events = new EventSubscriptions({ store, log });
  const shared = { store, topology, identity: node.identity, mesh, log, serverAddress: mesh.address };
  const enrolment = await startEnrolment({
    ...shared,
    events,
    authority: authority.authority,
    sealer: authority.sealer,
    revocations: node.revocations,
  });
  onTestFinished(() => enrolment.stop());
  const findSources = () => ({ sources: [], downloadToken: '' });
  const service = await startTopology({ ...shared, joins: enrolment.joins, findSources, onHealth: () => undefined });
  onTestFinished(() => service.stop());
  await events.start();
  onTestFinished(() => events.stop());
  await store.transaction((tx) => sites.create(tx, { id: 'eu' }, 'test'));
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
      return store.transaction((tx) => enrolment.createToken(tx, whole, 'test'));
    },
    async revoke(id) {
      await store.transaction((tx) => enrolment.revokeNode(tx, id, 'test'));
    },
    events: async (type) => (await store.events.list({ type, limit: 1000 })).items,
    denials: async (type) => (await store.denials.list({ type, limit: 1000 })).items,
  };
}
