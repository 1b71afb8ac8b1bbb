// Serves the mesh service `upgrade`: every method is for servers only.
import type { PeerIdentity } from '../../certs/peer.ts';
import type { SourceConnection } from '../../lib/blobs/blob-client.ts';
import type { OnSlowSource } from '../../lib/blobs/fetch.ts';
import type { Source } from '../../lib/blobs/source.ts';
import type { Teardown } from '../../lib/component.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type MethodAccess } from '../../lib/grpc/server.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { UpgradeHandlers } from '../../proto/gen/isthmus/upgrade/v1/Upgrade.ts';
import { FEED_SERVICE } from '../sources/connect.ts';
import { NodeUpgrade, type UpgradeOptions } from './upgrade.ts';

const { service } = loadDefinitions('isthmus/upgrade/v1/upgrade.proto').isthmus.upgrade.v1.Upgrade;
const SERVERS_ONLY: MethodAccess = { roles: ['server'] };

interface UpgradeServiceOptions extends Pick<UpgradeOptions, 'dataDir' | 'role' | 'host' | 'version' | 'openCached'> {
  readonly mesh: Pick<Mesh, 'listen' | 'denials'>;
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  readonly onSlowSource?: OnSlowSource | undefined;
  readonly log: Logger;
  readonly teardown: Teardown;
}

/** Serves upgrades of this node's host until the teardown. */
export function serveUpgrades({ mesh, teardown, ...options }: UpgradeServiceOptions): void {
  const { denials } = mesh;
  const upgrade = new NodeUpgrade({
    ...options,
    onWrongSource: (source, error) => denials.record(error, source, FEED_SERVICE),
  });
  teardown.add(() => upgrade.stop());
  const host = new GrpcHost<PeerIdentity>({
    log: options.log,
    onError: (error, peer, method) => denials.record(error, peer?.node ?? 'unknown', method),
  });
  teardown.add(() => host.stop());
  const handlers: AsyncHandlers<UpgradeHandlers, PeerIdentity> = {
    Begin: ({ request }) => upgrade.begin(request),
    Status: ({ request }) => upgrade.status(request.id),
    Confirm: ({ request }) => upgrade.confirm(request.id),
    Withdraw: ({ request }) => upgrade.withdraw(request.id),
  };
  const access = { Begin: SERVERS_ONLY, Status: SERVERS_ONLY, Confirm: SERVERS_ONLY, Withdraw: SERVERS_ONLY };
  host.add<UpgradeHandlers>(service, handlers, access);
  mesh.listen('upgrade', (stream) => host.accept(stream));
}
