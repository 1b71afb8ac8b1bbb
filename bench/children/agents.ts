// Runs hundreds of agents in one process: each has the real link, certificate and reports of a tentacle, but runs no
// scripts and answers no calls.
import PQueue from 'p-queue';
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { reportToServer } from '../../node/report.ts';
import { HealthReporter } from '../../tentacle/health.ts';
import type { Mesh, ParentConfig } from '../../mesh/types.ts';
import { answer, usage } from '../support/child.ts';

interface Agent {
  readonly mesh: Mesh;
  /** When its link came up last, by the clock of the machine. */
  upAtMs: number | undefined;
}

/** Real agents do not all start in one process, so here only so many start at once. */
const startedAtOnce = 16;

const agents: Agent[] = [];
const log = silentLogger();

async function startAgent(dataDir: string, parent: ParentConfig): Promise<void> {
  const identity = await IdentityStore.open(dataDir);
  const { authorityPem, meshId } = identity.current();
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
  const mesh = await createMesh(
    { parents: [parent], dials: [] },
    { identity, revocations, relaying: false, services: MESH_SERVICES, log },
  );
  const agent: Agent = { mesh, upAtMs: undefined };
  const up = Promise.withResolvers<void>();
  mesh.onLinksChanged(() => {
    if (!mesh.links().some((link) => link.up)) {
      agent.upAtMs = undefined;
      return;
    }
    agent.upAtMs ??= Date.now();
    up.resolve();
  });
  const health = new HealthReporter({
    ...{ dataDir, softwareVersion: 'bench', path: '/usr/bin:/bin', scriptsIsolated: false },
    runningScripts: () => 0,
    certificateNotAfterMs: () => identity.peer().notAfterMs,
  });
  reportToServer({ mesh, identity, log, dataDir, health: () => health.report() });
  agents.push(agent);
  await up.promise;
}

answer({
  async start({ dataDirs, parent }: { dataDirs: readonly string[]; parent: ParentConfig }) {
    const queue = new PQueue({ concurrency: startedAtOnce });
    await queue.addAll(dataDirs.map((dataDir) => () => startAgent(dataDir, parent)));
  },
  /** When each link that is up came up. */
  up: () => agents.flatMap(({ upAtMs }) => upAtMs ?? []),
  usage,
});
