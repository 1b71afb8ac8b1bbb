// Joins a mesh: from a token and a pin to an identity on disk that has crossed the mesh once. Everything is written to a
// folder beside its final place and moved there at the very end; whatever fails before leaves nothing behind.
//
//   preflight.ts  looks at name, port, proxy and clock     session.ts  TLS checked against the pin
//   proof.ts      proves token and key in that session
import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { syncFolder, writeDurably } from '../../lib/durable.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import type { BeginResponse__Output } from '../../proto/gen/isthmus/identity/v1/BeginResponse.ts';
import type { EnrolmentClient } from '../../proto/gen/isthmus/identity/v1/Enrolment.ts';
import type { EnrolResponse__Output } from '../../proto/gen/isthmus/identity/v1/EnrolResponse.ts';
import { authorityPin } from '../authority-signature.ts';
import { generateKey } from '../certificate.ts';
import { IdentityStore, identityFolder, writeIdentity, type NodeIdentity } from '../identity.ts';
import { isRole, type Role } from '../peer.ts';
import { checkClock, type CheckResult } from './preflight.ts';
import { keyProof, parseToken, proofKey, sessionKey, tokenProof } from './proof.ts';
import type { PinnedSession } from './session.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;
const callMs = 15_000;

export interface JoinRequest {
  readonly dataDir: string;
  readonly token: string;
  /** SHA-256 of the authority's certificate, hex. */
  readonly pin: string;
  /** What the operator expects the token to be for; without them, what it names is taken. */
  readonly role?: Role | undefined;
  readonly site?: string | undefined;
  readonly name?: string | undefined;
}

/** An identity that was issued and not confirmed yet, in a folder that is not the node's data folder yet. */
export interface ProvisionalNode {
  readonly stagingDir: string;
  readonly identity: NodeIdentity;
  /** The node id of the parent. */
  readonly parent: string;
}

export interface Confirmation {
  readonly check: CheckResult;
  /** The certificate that lasts. */
  readonly certificatePem: string;
}

export interface JoinDeps {
  /** Those that this node speaks, both included. */
  readonly wireVersions: { readonly oldest: number; readonly newest: number };
  readonly softwareVersion: string;
  /** The session with the server, dialled or awaited, checked against the pin. */
  openSession(): Promise<PinnedSession>;
  /** Starts a mesh with the new identity and confirms over it; rejects when any hop fails. The session has ended by then. */
  confirm(node: ProvisionalNode): Promise<Confirmation>;
  /** The text of the node's config.yaml. */
  configFor(node: ProvisionalNode): string;
  report(result: CheckResult): void;
}

/** Joins; the identity is in `<dataDir>/identity` when this resolves, and nothing is anywhere when it rejects. */
export async function joinMesh(request: JoinRequest, deps: JoinDeps): Promise<NodeIdentity> {
  const secret = parseToken(request.token);
  if (!/^[0-9a-fA-F]{64}$/.test(request.pin)) {
    throw new IsthmusError('INVALID_FIELD', 'a pin is 64 hexadecimal digits', { field: 'pin' });
  }
  if (existsSync(identityFolder(request.dataDir))) {
    throw new IsthmusError('IDENTITY_EXISTS', `${request.dataDir} holds a node identity already`);
  }
  const { keyPem, spkiDer } = await generateKey();
  const answer = await enrol(request, secret, { keyPem, spkiDer }, deps);
  const identity = identityFrom(answer, keyPem);
  const staging = new Staging(request.dataDir);
  try {
    const node: ProvisionalNode = { stagingDir: staging.path, identity, parent: answer.parent };
    writeIdentity(identityFolder(staging.path), identity);
    writeDurably(join(staging.path, 'config.yaml'), deps.configFor(node), 0o644);
    const { check, certificatePem } = await deps.confirm(node);
    const confirmed = await IdentityStore.open(staging.path);
    await confirmed.replace(certificatePem, keyPem);
    deps.report(check);
    staging.keep();
    return confirmed.current();
  } finally {
    staging.remove();
  }
}

interface FreshKey {
  readonly keyPem: string;
  readonly spkiDer: Buffer;
}

async function enrol(
  request: JoinRequest,
  secret: ReturnType<typeof parseToken>,
  key: FreshKey,
  deps: JoinDeps,
): Promise<EnrolResponse__Output> {
  const { socket, server, authorityPem } = await deps.openSession();
  deps.report({ check: 'pin', outcome: 'ok', detail: `${server.node} has the pinned authority behind it` });
  const session = sessionKey(socket);
  const client = clientOver(socket, server.node);
  try {
    const askedAtMs = Date.now();
    const { wireVersions, softwareVersion } = deps;
    const begin = {
      oldestWireVersion: wireVersions.oldest,
      newestWireVersion: wireVersions.newest,
      softwareVersion,
      tokenId: secret.id,
    };
    const begun = await client.unary<BeginResponse__Output>((c, options, done) => c.begin(begin, options, done), {
      deadlineMs: callMs,
    });
    deps.report(checkClock(begun.serverTimeMs, askedAtMs, Date.now()));
    const { nonce } = begun;
    const context = { session, nonce, spkiDer: key.spkiDer };
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
      { deadlineMs: callMs },
    );
    // The session has shown the pinned authority; another one in the answer would be taken into use from here on.
    if (authorityPin(answer.authorityPem) !== authorityPin(authorityPem)) {
      throw new IsthmusError('CA_FINGERPRINT', 'the answer names another authority than the session');
    }
    deps.report({
      check: 'enrol',
      outcome: 'ok',
      detail: `let in as ${answer.role} ${answer.node}, site ${answer.site}`,
    });
    return answer;
  } finally {
    client.close();
  }
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
  if (!isRole(role)) throw new IsthmusError('IDENTITY_INVALID', `the server answered with an unknown role`);
  return { meshId, node, role, site: site === '' ? null : site, keyPem, certificatePem, authorityPem };
}

/** A folder beside what it will become. */
class Staging {
  readonly path: string;
  readonly #dataDir: string;
  readonly #made: string | undefined;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#made = existsSync(dataDir) ? undefined : mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.path = mkdtempSync(join(dataDir, '.joining-'));
  }

  /** The identity last: its presence says that the node has joined. */
  keep(): void {
    renameSync(join(this.path, 'config.yaml'), join(this.#dataDir, 'config.yaml'));
    renameSync(identityFolder(this.path), identityFolder(this.#dataDir));
    syncFolder(this.#dataDir);
  }

  /** Removes what was not kept, and the folders that were made for it. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    if (this.#made === undefined || existsSync(identityFolder(this.#dataDir))) return;
    for (let folder = this.#dataDir; ; folder = dirname(folder)) {
      rmdirSync(folder);
      if (folder === this.#made) return;
    }
  }
}
