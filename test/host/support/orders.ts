// Orders of a host's nodes, as they write them: a signed tarball of a small version, fetched already.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from 'tar';
import type { JoinRole } from '../../../contract/join-tokens.ts';
import { signSums } from '../../../certs/release-keys.ts';
import { upgradeFolder, writeOrder, type UpgradeOrder } from '../../../host/orders.ts';
import { trustKey } from '../../../host/versions/trust.ts';
import { newId } from '../../../lib/ids.ts';
import { makeTree, sha256, type Behaviour } from './software.ts';
import type { TestHost } from './test-host.ts';

/** The key that the host trusts. */
export const RELEASE_KEY = generateKeyPairSync('ed25519');

export interface OrderOptions {
  readonly role?: JoinRole;
  readonly version?: string;
  /** Of what is in the tarball, where that is another one. */
  readonly packed?: string;
  readonly behaviour?: Behaviour;
  readonly schema?: string;
  readonly architecture?: string;
  readonly signer?: KeyObject;
  readonly confirmWithinS?: number;
  /** Changes the tarball before it is signed. */
  readonly spoil?: (tarball: string) => void;
  /** Changes it afterwards. */
  readonly damage?: (tarball: string) => void;
}

/** Has a node of a host order a version; `folder` is for the files of the test. */
export async function orderOf(host: TestHost, folder: string, options: OrderOptions = {}): Promise<UpgradeOrder> {
  const { version = '1.1.0', packed = version, architecture = process.arch, role = 'relay' } = options;
  const dataDir = host.layout.dataDir(role);
  mkdirSync(dataDir, { recursive: true });
  await trustKey(host.layout, RELEASE_KEY.publicKey);
  const name = `isthmus-${version}-linux-${architecture}`;
  makeTree(join(folder, 'packing', name), packed, { ...options, architecture });
  const tarball = join(upgradeFolder(dataDir), `${name}.tar.gz`);
  await create({ gzip: true, file: tarball, cwd: join(folder, 'packing') }, [name]);
  options.spoil?.(tarball);
  const sums = `${sha256(readFileSync(tarball))}  ${name}.tar.gz\n`;
  options.damage?.(tarball);
  const order: UpgradeOrder = {
    id: newId(),
    role,
    version,
    tarball: `${name}.tar.gz`,
    sums,
    signature: signSums(sums, options.signer ?? RELEASE_KEY.privateKey).toString('base64'),
    confirmWithinS: options.confirmWithinS ?? 60,
  };
  await writeOrder(dataDir, order);
  return order;
}
