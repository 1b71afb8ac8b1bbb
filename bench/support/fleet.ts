// A fleet of agents for a running mesh. Their nodes and certificates are created directly in the store, because a thousand
// enrolments are rate-limited.
import { join } from 'node:path';
import { openAuthority } from '../../certs/authority.ts';
import { generateKey } from '../../certs/keys.ts';
import { identityFolder, writeIdentity } from '../../certs/identity.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openMasterKey } from '../../lib/secrets/seal.ts';
import type { ParentConfig } from '../../mesh/types.ts';
import { openStore } from '../../server/store/store.ts';
import { BenchChild, type Usage } from './child.ts';

const script = join(import.meta.dirname, '../children/agents.ts');
const agentsPerProcess = 250;
/** Keys are slow to generate, so the agents share a few. */
const keys = 8;

/** Creates `count` agents while the server of the folder is stopped; returns their data folders. */
export async function createAgents(serverDir: string, folder: string, site: string, count: number): Promise<string[]> {
  const authority = openAuthority(serverDir, openMasterKey({ dataDir: serverDir }));
  const pairs = await Promise.all(Array.from({ length: keys }, () => generateKey()));
  const store = await openStore({ dataDir: serverDir, log: silentLogger() });
  try {
    return await store.transaction(async (tx) => {
      const folders: string[] = [];
      for (let index = 0; index < count; index += 1) {
        const node = `agent-${index + 1}`;
        const { keyPem, spkiDer } = pairs[index % keys]!;
        const { certificatePem, notAfterMs } = await authority.issue({ spkiDer, node, role: 'tentacle' });
        const createdAt = Date.now();
        const location = { site, parents: [{ node: 'server', dialAddress: null }] };
        await tx.nodes.insert({ id: node, role: 'tentacle', ...location, createdAt, certificateNotAfter: notAfterMs });
        const routes = [{ kind: 'direct' as const }];
        await tx.machines.insert({ id: node, name: node, site, environments: [], targetRoles: [], routes, createdAt });
        const { meshId, certificatePem: authorityPem } = authority;
        const dataDir = join(folder, node);
        writeIdentity(identityFolder(dataDir), {
          ...{ meshId, node, role: 'tentacle', site, keyPem, certificatePem, authorityPem },
        });
        folders.push(dataDir);
      }
      return folders;
    });
  } finally {
    await store.close();
  }
}

/** Running agents of one parent. */
export class Fleet {
  readonly #children: readonly BenchChild[];

  private constructor(children: readonly BenchChild[]) {
    this.#children = children;
  }

  static async start(dataDirs: readonly string[], parent: ParentConfig): Promise<Fleet> {
    const children: BenchChild[] = [];
    const fleet = new Fleet(children);
    try {
      for (let from = 0; from < dataDirs.length; from += agentsPerProcess) {
        const child = BenchChild.start(script);
        children.push(child);
        await child.ask('start', { dataDirs: dataDirs.slice(from, from + agentsPerProcess), parent });
      }
      return fleet;
    } catch (thrown) {
      await fleet.stop();
      throw thrown;
    }
  }

  /** When each link that is up came up, in order. */
  async upAtMs(): Promise<number[]> {
    const times = await Promise.all(this.#children.map((child) => child.ask<number[]>('up')));
    return times.flat().sort((a, b) => a - b);
  }

  /** Processor time that the agents have used so far. */
  async cpuS(): Promise<number> {
    const used = await Promise.all(this.#children.map((child) => child.ask<Usage>('usage')));
    return used.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }
}
