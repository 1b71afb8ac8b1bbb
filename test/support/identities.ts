// Mesh identities made at test time: an authority and as many nodes as a test wants, each in a folder of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createAuthority, type Authority } from '../../certs/authority.ts';
import { identityFolder, IdentityStore, writeIdentity, type NodeIdentity } from '../../certs/identity.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { revocationStatement, RevocationList, type SignedRevocations } from '../../certs/revocations.ts';
import { createMasterKey, type Sealer } from '../../lib/secrets/seal.ts';
import { authorityKey, nodeKey, type KeyPair } from './keys.ts';

/** What one node of a test mesh opens its mesh with. */
export interface TestNode {
  readonly dataDir: string;
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
}

export interface TestNodeOptions {
  readonly site?: string;
  readonly lifetimeMs?: number;
  readonly nowMs?: number;
  /** As enrolment gives it out before the confirmation. */
  readonly provisional?: true;
  /** A key that nodes share, where there are many and making one for each would take long. */
  readonly key?: KeyPair;
}

/** An authority of its own, with nodes on demand. */
export interface TestMesh {
  readonly meshId: string;
  readonly authority: Authority;
  readonly authorityPem: string;
  readonly sealer: Sealer;
  /** The folder of the authority and the master key. */
  readonly dataDir: string;
  identity(node: string, role: NodeRole, options?: TestNodeOptions): Promise<NodeIdentity>;
  node(node: string, role: NodeRole, options?: TestNodeOptions): Promise<TestNode>;
  /** A signed revocation list. */
  revoke(version: number, nodes: readonly { node: string; revokedAtMs: number }[]): SignedRevocations;
}

/** Makes a mesh's authority. Folders go when the current test ends; outside a test, pass `cleanup` to remove them. */
export async function createTestMesh(
  meshId = 'test-mesh',
  cleanup: (remove: () => void) => void = onTestFinished,
): Promise<TestMesh> {
  const root = mkdtempSync(join(tmpdir(), 'isthmus-mesh-'));
  cleanup(() => rmSync(root, { recursive: true, force: true }));
  const sealer = createMasterKey({ dataDir: root });
  const authority = await createAuthority(root, meshId, sealer, await authorityKey());
  const identity = async (node: string, role: NodeRole, options: TestNodeOptions = {}): Promise<NodeIdentity> => {
    const { site, key, ...times } = options;
    const { keyPem, spkiDer } = key ?? (await nodeKey());
    const { certificatePem } = await authority.issue({ spkiDer, node, role, ...times });
    return { meshId, node, role, site: site ?? null, keyPem, certificatePem, authorityPem: authority.certificatePem };
  };
  let folders = 0;
  return {
    meshId,
    authority,
    authorityPem: authority.certificatePem,
    sealer,
    dataDir: root,
    identity,
    async node(node, role, options) {
      const dataDir = join(root, `${node}-${folders++}`);
      writeIdentity(identityFolder(dataDir), await identity(node, role, options));
      return {
        dataDir,
        identity: await IdentityStore.open(dataDir),
        revocations: await RevocationList.open(dataDir, authority.certificatePem, meshId),
      };
    },
    revoke(version, nodes) {
      const statement = revocationStatement(meshId, version, nodes);
      return { statement, signature: authority.sign('revocations', statement) };
    },
  };
}
