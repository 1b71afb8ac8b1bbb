// Joins a mesh: turns a token and a pin into an identity on disk that has been confirmed over the mesh. Everything is
// written to a staging folder and moved into the data folder at the very end; a failure before that leaves nothing
// behind.
//
//   preflight.ts  checks address, port, proxy and clock     session.ts  TLS, checked against the pin
//   proof.ts      proves token and key in that session
import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { permissionsOf, syncFolder, writeDurably } from '../../lib/files/durable.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { checkUnlocked } from '../../lib/files/data-lock.ts';
import { makeFolder, unusable } from '../../lib/files/folder.ts';
import { checkDataDir } from '../../lib/files/private.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import type { AbandonResponse__Output } from '../../proto/gen/isthmus/identity/v1/AbandonResponse.ts';
import type { BeginResponse__Output } from '../../proto/gen/isthmus/identity/v1/BeginResponse.ts';
import type { EnrolmentClient } from '../../proto/gen/isthmus/identity/v1/Enrolment.ts';
import type { EnrolResponse__Output } from '../../proto/gen/isthmus/identity/v1/EnrolResponse.ts';
import { authorityPin } from '../authority-signature.ts';
import { generateKey } from '../keys.ts';
import { IdentityStore, identityFolder, writeIdentity, type NodeIdentity } from '../identity.ts';
import { isNodeRole } from '../peer.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { verifyCertificate } from '../verify.ts';
import { checkClock, type CheckResult } from './preflight.ts';
import { keyProof, parseToken, proofKey, sessionKey, tokenProof } from './proof.ts';
import type { PinnedSession } from './session.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;
const CALL_MS = 15_000;
/** Giving a token back is worth only a short wait: the server frees it, too, when the session ends. */
const ABANDON_MS = 5_000;

export interface JoinRequest {
  readonly dataDir: string;
  readonly token: string;
  /** SHA-256 of the authority's certificate, hex. */
  readonly pin: string;
  /** What the operator expects of the token; unset fields accept whatever it names. */
  readonly role?: NodeRole | undefined;
  readonly site?: string | undefined;
  readonly name?: string | undefined;
}

/** An issued identity that is not confirmed yet, in a staging folder. */
export interface ProvisionalNode {
  readonly stagingDir: string;
  readonly identity: NodeIdentity;
  /** In order of preference. */
  readonly parents: readonly EnrolledParent[];
  /** Where its children dial it, as host:port, if the token says so. */
  readonly address: string | undefined;
}

export interface EnrolledParent {
  readonly node: string;
  /** True when the parent dials this node; otherwise this node dials the parent. */
  readonly dials: boolean;
}

export interface JoinDeps {
  /** The wire versions that this node supports, both ends included. */
  readonly wireVersions: { readonly oldest: number; readonly newest: number };
  readonly softwareVersion: string;
  /**
   * Sessions with the server, checked against the pin: one through each parent that this node dials, or one that a
   * parent opens.
   */
  openSessions(): Promise<[PinnedSession, ...PinnedSession[]]>;
  /**
   * Starts a mesh with the new identity, reaches the server through every parent and confirms the enrolment. Rejects
   * when a hop fails; resolves with the final certificate.
   */
  confirm(node: ProvisionalNode): Promise<string>;
  /** The text of the node's config.yaml. */
  configFor(node: ProvisionalNode): string;
  readonly report: (result: CheckResult) => void;
}

/** Joins. The identity is in `<dataDir>/identity` when this resolves; nothing is left behind when it rejects. */
export async function joinMesh(request: JoinRequest, deps: JoinDeps): Promise<NodeIdentity> {
  const secret = parseToken(request.token);
  if (!/^[0-9a-fA-F]{64}$/.test(request.pin)) {
    throw new IsthmusError('INVALID_FIELD', 'a pin is 64 hexadecimal digits', { field: 'pin' });
  }
  if (existsSync(identityFolder(request.dataDir))) {
    throw new IsthmusError('IDENTITY_EXISTS', `${request.dataDir} holds a node identity already`);
  }
  // A running agent would go on under the identity that it has in memory.
  checkUnlocked(request.dataDir);
  // Fails early when the folder cannot be written, before the token is used.
  new Staging(request.dataDir).remove();
  const key = await generateKey();
  const [first, ...others] = await deps.openSessions();
  const client = clientOver(first.socket, first.server.node);
  try {
    const answer = await orLost(async () => {
      const { nonce } = await begin(client, first, secret, deps);
      for (const session of others) await tryOut(session, secret, deps);
      return enrol(request, secret, { client, session: first, nonce, key }, deps);
    });
    return await orAbandon(client, answer.node, () => settle(request.dataDir, answer, key.keyPem, deps));
  } finally {
    client.close();
    for (const { socket } of [first, ...others]) socket.destroy();
  }
}

interface FreshKey {
  readonly keyPem: string;
  readonly spkiDer: Buffer;
}

type Client = GrpcClient<EnrolmentClient>;
type Secret = ReturnType<typeof parseToken>;

/** Writes the new identity to a staging folder, confirms with it, and moves it into the data folder. */
async function settle(
  dataDir: string,
  answer: EnrolResponse__Output,
  keyPem: string,
  deps: JoinDeps,
): Promise<NodeIdentity> {
  const staging = new Staging(dataDir);
  try {
    const identity = identityFrom(answer, keyPem);
    const address = answer.address === '' ? undefined : answer.address;
    const node: ProvisionalNode = { stagingDir: staging.path, identity, parents: parentsOf(answer), address };
    const config = deps.configFor(node);
    writeIdentity(identityFolder(staging.path), identity);
    writeDurably(join(staging.path, 'config.yaml'), config, permissionsOf(join(dataDir, 'config.yaml')));
    const certificatePem = await deps.confirm(node);
    const confirmed = await IdentityStore.open(staging.path);
    await confirmed.replace(certificatePem, keyPem);
    staging.keep();
    return confirmed.current();
  } catch (thrown) {
    throw thrown instanceof Error && 'syscall' in thrown ? unusable(dataDir, thrown) : thrown;
  } finally {
    staging.remove();
  }
}

function parentsOf({ parents }: EnrolResponse__Output): readonly EnrolledParent[] {
  if (parents.length === 0) throw new IsthmusError('PROTOCOL', 'the server names no parent for this node');
  return parents;
}

/** Opens the exchange: gets a nonce, and checks the clocks and the server's certificate. */
async function begin(
  client: Client,
  { server, certificate, authorityPem }: PinnedSession,
  secret: Secret,
  { wireVersions, softwareVersion, report }: JoinDeps,
): Promise<BeginResponse__Output> {
  report({ check: 'pin', outcome: 'ok', detail: `the pinned authority issued the certificate of ${server.node}` });
  const sentAtMs = Date.now();
  const request = {
    oldestWireVersion: wireVersions.oldest,
    newestWireVersion: wireVersions.newest,
    softwareVersion,
    tokenId: secret.id,
  };
  const begun = await client.unary<BeginResponse__Output>((c, options, done) => c.begin(request, options, done), {
    deadlineMs: CALL_MS,
  });
  report(checkClock(begun.serverTimeMs, sentAtMs, Date.now()));
  verifyCertificate(certificate, { meshId: server.meshId, authorityPem });
  return begun;
}

/** Checks that the server also answers through another parent. */
async function tryOut(session: PinnedSession, secret: Secret, deps: JoinDeps): Promise<void> {
  const client = clientOver(session.socket, session.server.node);
  try {
    await begin(client, session, secret, deps);
  } finally {
    client.close();
  }
}

interface Exchange {
  readonly client: Client;
  readonly session: PinnedSession;
  readonly nonce: Buffer;
  readonly key: FreshKey;
}

async function enrol(
  request: JoinRequest,
  secret: Secret,
  { client, session, nonce, key }: Exchange,
  deps: JoinDeps,
): Promise<EnrolResponse__Output> {
  const context = { session: sessionKey(session.socket), nonce, spkiDer: key.spkiDer };
  const answer = await client.unary<EnrolResponse__Output>(
    (c, options, done) =>
      c.enrol(
        {
          tokenId: secret.id,
          tokenProof: tokenProof(proofKey(secret.secret), context),
          publicKeySpki: key.spkiDer,
          keyProof: keyProof(createPrivateKey(key.keyPem), context),
          name: request.name ?? '',
          role: request.role ?? '',
          site: request.site ?? '',
          nonce,
        },
        options,
        done,
      ),
    { deadlineMs: CALL_MS },
  );
  // The session proved the pinned authority; this node would trust a different one in the answer from now on.
  if (authorityPin(answer.authorityPem) !== authorityPin(session.authorityPem)) {
    throw new IsthmusError('CA_FINGERPRINT', 'the answer names another authority than the session');
  }
  deps.report({
    check: 'enrol',
    outcome: 'ok',
    detail: `let in as ${answer.role} ${answer.node}, site ${answer.site}`,
  });
  return answer;
}

/** Runs `work`; when the connection is lost meanwhile, the error says that the token is still valid. */
async function orLost<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = IsthmusError.from(thrown);
    throw error.code === 'UNREACHABLE' ? sessionLost(error) : thrown;
  }
}

/** Runs `work`; when it fails, gives the token back in the session that reserved it, for the next attempt. */
async function orAbandon<T>(client: Client, node: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const answer = await client
      .unary<AbandonResponse__Output>((c, options, done) => c.abandon({}, options, done), { deadlineMs: ABANDON_MS })
      .catch(() => undefined);
    const error = IsthmusError.from(thrown);
    if (answer?.joined !== true) throw error.code === 'TOKEN_USED' ? sessionLost(error) : thrown;
    throw new IsthmusError(
      error.code,
      `the server has let ${node} in, and this machine did not hear it: ${error.message}`,
      {
        hop: error.hop,
        cause: error,
        remedy: 'Revoke the node on the server, then create a new token that names it.',
        action: { code: 'REVOKE_NODE', arguments: { node } },
      },
    );
  }
}

/** When the connection of an enrolment ends, the server frees the token. */
function sessionLost(cause: IsthmusError): IsthmusError {
  return new IsthmusError('UNREACHABLE', 'the connection of the enrolment was lost before the server confirmed it', {
    hop: cause.hop,
    cause,
    remedy: 'Run the same command again: the token is as good as before.',
  });
}

function clientOver(socket: Duplex, hop: string): GrpcClient<EnrolmentClient> {
  return grpcClient<EnrolmentClient>(
    types.Enrolment,
    () =>
      socket.destroyed
        ? Promise.reject(new IsthmusError('UNREACHABLE', 'the enrolment session has closed', { hop }))
        : Promise.resolve(socket),
    { hop },
  );
}

function identityFrom(answer: EnrolResponse__Output, keyPem: string): NodeIdentity {
  const { meshId, node, role, site, certificatePem, authorityPem } = answer;
  if (!isNodeRole(role)) throw new IsthmusError('IDENTITY_INVALID', `the server answered with an unknown role`);
  return { meshId, node, role, site: site === '' ? null : site, keyPem, certificatePem, authorityPem };
}

/** The staging folder of a join, inside the data folder. */
class Staging {
  readonly path: string;
  readonly #dataDir: string;
  readonly #created: string | undefined;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#created = makeFolder(dataDir);
    checkDataDir(dataDir);
    try {
      this.path = mkdtempSync(join(dataDir, '.joining-'));
    } catch (cause) {
      throw unusable(dataDir, cause);
    }
  }

  /** Moves the files into the data folder. The identity comes last: its presence means that the node has joined. */
  keep(): void {
    renameSync(join(this.path, 'config.yaml'), join(this.#dataDir, 'config.yaml'));
    renameSync(identityFolder(this.path), identityFolder(this.#dataDir));
    syncFolder(this.#dataDir);
  }

  /** Removes the staging folder, and, unless the node has joined, the folders created for it. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    if (this.#created === undefined || existsSync(identityFolder(this.#dataDir))) return;
    for (let folder = this.#dataDir; ; folder = dirname(folder)) {
      rmdirSync(folder);
      if (folder === this.#created) return;
    }
  }
}
