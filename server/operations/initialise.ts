// Initialises the data folder of a new mesh's server: master key, authority, the server's own identity, database, and a
// first API key. All of it is created beside the folder and moved into place at once, so that a crash leaves either a
// complete server or an empty folder.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { authorityPin } from '../../certs/authority-signature.ts';
import { createAuthority, type Authority } from '../../certs/authority.ts';
import { generateKey } from '../../certs/keys.ts';
import { identityFolder, writeIdentity } from '../../certs/identity.ts';
import { lockDataDir, LOCK_FILES } from '../../lib/files/data-lock.ts';
import { syncFolder, writeDurably } from '../../lib/files/durable.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { makeFolder, unusable } from '../../lib/files/folder.ts';
import { checkDataDir } from '../../lib/files/private.ts';
import { isSlug } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { isEveryAddress, requireHostPort } from '../../lib/net/host-port.ts';
import { createMasterKey } from '../../lib/secrets/seal.ts';
import { reachableAt } from '../../mesh/link/reachable-address.ts';
import { createApiKey } from '../access/api-keys.ts';
import { HEALTH_CHECK_INTERVAL_S } from '../config.ts';
import { clearFolders } from './clean-up.ts';
import { openStore } from '../store/store.ts';
import { SERVER } from '../store/nodes/parents.ts';

export interface InitialiseOptions {
  readonly dataDir: string;
  /** The id of the mesh in certificates; random when absent. */
  readonly meshId?: string | undefined;
  readonly node?: string | undefined;
  readonly meshListen: string;
  /** Where nodes reach that port; determined at every start when absent. */
  readonly meshAddress?: string | undefined;
  readonly apiListen: string;
}

export interface Initialised {
  readonly meshId: string;
  readonly node: string;
  /** Where nodes reach the server, as in join commands. */
  readonly meshAddress: string;
  /** SHA-256 of the authority's certificate, by which joining nodes check it. */
  readonly pin: string;
  /** The first API key; also in `<data>/admin.key` (0600). */
  readonly adminKey: string;
  readonly authorityPem: string;
}

/** Creates a new mesh. Throws ALREADY_INITIALISED unless the folder is empty. */
export async function initialise(options: InitialiseOptions): Promise<Initialised> {
  const { dataDir, meshId = `mesh-${randomBytes(4).toString('hex')}`, node = 'server-1' } = options;
  checkSlug(meshId, 'meshId');
  checkSlug(node, 'node');
  if (options.meshAddress !== undefined) requireHostPort(options.meshAddress);
  checkPorts(options);
  return fillFolder(dataDir, (folder) => createServer(folder, { ...options, meshId, node }));
}

/** Runs `fill` on a folder beside `dataDir`, then moves it there. Throws ALREADY_INITIALISED unless that one is empty. */
export async function fillFolder<Result>(dataDir: string, fill: (folder: string) => Promise<Result>): Promise<Result> {
  await assertEmpty(dataDir);
  const parent = dirname(dataDir);
  const prefix = `.${basename(dataDir)}.`;
  await clearFolders(parent, new RegExp(`^${RegExp.escape(prefix)}[0-9a-f]{12}$`));
  const folder = join(parent, `${prefix}${randomBytes(6).toString('hex')}`);
  makeFolder(parent);
  await mkdir(folder, { mode: 0o700 }).catch((thrown: unknown) => {
    throw unusable(dataDir, thrown);
  });
  const lock = lockDataDir(folder);
  try {
    checkDataDir(folder);
    const result = await fill(folder);
    syncFolder(folder);
    // The system only replaces an empty folder, so a concurrent initialise cannot be overwritten.
    await rename(folder, dataDir).catch(async (thrown: unknown) => {
      await assertEmpty(dataDir);
      throw thrown;
    });
    for (const file of LOCK_FILES) await rm(join(dataDir, file), { force: true });
    syncFolder(parent);
    return result;
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    throw thrown;
  } finally {
    lock.unlock();
  }
}

/** Throws when both listeners would share a port. Names of the same address show only when the server starts. */
function checkPorts({ meshListen, apiListen }: InitialiseOptions): void {
  const [mesh, api] = [requireHostPort(meshListen), requireHostPort(apiListen)];
  if (mesh.port !== api.port || mesh.port === 0) return;
  if (mesh.host !== api.host && !isEveryAddress(mesh.host) && !isEveryAddress(api.host)) return;
  throw new IsthmusError('INVALID_FIELD', `the mesh and the API cannot both listen on port ${api.port}`, {
    field: 'apiListen',
    remedy: 'Give mesh.listen and api.listen different ports.',
  });
}

async function assertEmpty(dataDir: string): Promise<void> {
  const entries = await readdir(dataDir).catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return [];
    throw unusable(dataDir, thrown);
  });
  if (entries.length > 0)
    throw new IsthmusError('ALREADY_INITIALISED', `${dataDir} is not empty`, { field: 'dataDir' });
}

type ServerSettings = InitialiseOptions & { readonly meshId: string; readonly node: string };

async function createServer(folder: string, settings: ServerSettings): Promise<Initialised> {
  const { meshId, node, meshListen, meshAddress, apiListen } = settings;
  const sealer = createMasterKey({ dataDir: folder });
  const authority = await createAuthority(folder, meshId, sealer);
  const certificate = await createIdentity(folder, authority, node);
  const config = stringify({
    mesh: { listen: meshListen, ...(meshAddress === undefined ? {} : { address: meshAddress }) },
    api: { listen: apiListen },
    healthCheckIntervalS: HEALTH_CHECK_INTERVAL_S,
  });
  writeDurably(
    join(folder, 'config.yaml'),
    `# Settings of this server; \`isthmus server start --help\` lists them.\n${config}`,
  );
  const adminKey = await createDatabase(folder, { meshId, node, certificate });
  writeDurably(join(folder, 'admin.key'), `${adminKey}\n`);
  const authorityPem = authority.certificatePem;
  const reachable = meshAddress ?? reachableAt(meshListen);
  return { meshId, node, meshAddress: reachable, pin: authorityPin(authorityPem), adminKey, authorityPem };
}

type IssuedCertificate = Awaited<ReturnType<Authority['issue']>>;

async function createIdentity(folder: string, authority: Authority, node: string): Promise<IssuedCertificate> {
  const { keyPem, spkiDer } = await generateKey();
  const issued = await authority.issue({ spkiDer, node, role: 'server' });
  const { meshId, certificatePem: authorityPem } = authority;
  const identity = { meshId, node, role: 'server' as const, site: null, keyPem, authorityPem };
  writeIdentity(identityFolder(folder), { ...identity, certificatePem: issued.certificatePem });
  return issued;
}

interface FirstRows {
  readonly meshId: string;
  readonly node: string;
  readonly certificate: IssuedCertificate;
}

async function createDatabase(dataDir: string, { meshId, node, certificate }: FirstRows): Promise<string> {
  const store = await openStore({ dataDir, log: silentLogger() });
  try {
    return await store.transaction(async (tx) => {
      const { serialNumber: serial, notBeforeMs: notBefore, notAfterMs: notAfter } = certificate;
      const now = Date.now();
      await tx.nodes.insert({
        ...{ id: node, role: 'server', site: null, parents: [] },
        certificateNotAfter: notAfter,
        createdAt: now,
      });
      await tx.nodes.insertCertificate({ serial, node, notBefore, notAfter, issuedAt: now });
      await tx.events.append({ actor: 'system', type: 'mesh.initialised', subject: meshId, data: { node } });
      const { key } = await createApiKey(tx, { name: 'admin', role: 'admin' }, { actor: 'system', role: 'admin' });
      return key;
    });
  } finally {
    await store.close();
  }
}

function checkSlug(value: string, field: string): void {
  if (isSlug(value) && value !== SERVER) return;
  throw new IsthmusError('INVALID_FIELD', `"${value}" cannot be used: lower-case letters, digits and hyphens`, {
    field,
  });
}
