// One mesh node as a process of its own, to be killed, stopped and measured. It reads one line of JSON on standard
// input ({ dataDir, config, limits? }), answers with one line ({ address }), and lives until its input ends. The
// service `flood` sends zeros until the caller goes.
import { createInterface } from 'node:readline';
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { MeshLimits } from '../../mesh/limits.ts';
import { createMesh } from '../../mesh/mesh.ts';
import type { MeshConfig, MeshStream } from '../../mesh/types.ts';
import { TEST_SERVICES } from './services.ts';
import './keep-compiled.ts';

interface Order {
  readonly dataDir: string;
  readonly config: MeshConfig;
  readonly limits?: Partial<MeshLimits>;
}

function flood(stream: MeshStream): void {
  const zeros = Buffer.alloc(256 * 1024);
  const more = (): void => {
    while (!stream.destroyed && stream.write(zeros));
  };
  stream.on('error', () => undefined);
  stream.on('drain', more);
  stream.resume();
  more();
}

async function start({ dataDir, config, limits }: Order): Promise<void> {
  const identity = await IdentityStore.open(dataDir);
  const { authorityPem, meshId, role } = identity.current();
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
  const relaying = role === 'relay' || role === 'server';
  const mesh = await createMesh(config, {
    identity,
    revocations,
    relaying,
    services: TEST_SERVICES,
    log: silentLogger(),
    softwareVersion: 'test',
    limits: { backoffBaseMs: 20, ...limits },
  });
  mesh.listen('flood', flood);
  process.stdout.write(`${JSON.stringify({ address: mesh.address ?? null })}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => void start(JSON.parse(line) as Order));
lines.once('close', () => process.exit(0));
