// A tentacle's packages as their own process, which a test can kill while one is acquired. Arguments: the data folder, a
// data folder with an identity, the order as JSON, and its task.
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createPackages } from '../../tentacle/packages/packages.ts';
import { noMesh } from '../support/no-mesh.ts';
import '../support/keep-compiled.ts';
import { NOWHERE_ELSE } from './orders.ts';

const [dataDir = '', identityDir = '', order = '', task = ''] = process.argv.slice(2);
const identity = await IdentityStore.open(identityDir);
const { authorityPem, meshId } = identity.current();
const revocations = await RevocationList.open(identityDir, authorityPem, meshId);
const access = { mesh: noMesh(), identity, revocations, loopback: true };
const packages = await createPackages({
  ...{ dataDir, log: silentLogger(), onWrongSource: () => undefined, hasOpenScript: () => false, ...NOWHERE_ELSE },
  connect: (source, signal) => connectSource(source, access, signal),
});
await packages.acquire(JSON.parse(order) as PackagePayload__Output, task, {
  onProgress: () => undefined,
  signal: new AbortController().signal,
});
