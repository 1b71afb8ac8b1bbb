// `join`, put together: the checks and proofs of certs/enrolment over the streams of this folder, and a first mesh with
// the new identity that crosses every hop to confirm it.
import type { Duplex } from 'node:stream';
import { joinMesh, type Confirmation, type ProvisionalNode } from '../../certs/enrolment/join.ts';
import {
  checkAddress,
  checkProxy,
  checkTcp,
  type CheckName,
  type CheckResult,
  type ProxyEnvironment,
} from '../../certs/enrolment/preflight.ts';
import {
  selfSigned,
  sessionByDialling,
  sessionByListening,
  type PinnedSession,
} from '../../certs/enrolment/session.ts';
import { IdentityStore, type NodeIdentity } from '../../certs/identity.ts';
import type { Role } from '../../certs/peer.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { silentLogger } from '../../lib/log.ts';
import { softwareVersion } from '../../lib/version.ts';
import type { ConfirmResponse__Output } from '../../proto/gen/isthmus/identity/v1/ConfirmResponse.ts';
import type { IdentityClient } from '../../proto/gen/isthmus/identity/v1/Identity.ts';
import { parseAddress } from '../link/socket.ts';
import { createMesh } from '../mesh.ts';
import type { Mesh, MeshConfig } from '../types.ts';
import { wireVersions } from '../wire-version.ts';
import { listenForEnrol, openEnrol, type EnrolListener } from './peer.ts';
import { settingsWithWay } from './settings.ts';

const identityTypes = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

/** For one way to the server and back, through every relay. */
const openMs = 20_000;
/** A parent that dials this node may be in its longest pause; the server frees the token soon after. */
const confirmMs = 40_000;
const retryMs = 250;
/** As long as a token can last. */
const defaultWaitMs = 3_600_000;

export interface JoinOptions {
  readonly dataDir: string;
  readonly token: string;
  readonly pin: string;
  readonly role?: Role | undefined;
  readonly site?: string | undefined;
  readonly name?: string | undefined;
  /** The port of the parent, host:port; without it this node waits on `listen` to be dialled. */
  readonly address?: string | undefined;
  /** Where this node's own port will be, host:port. */
  readonly listen?: string | undefined;
  /** HTTP_PROXY and the like, from the environment. */
  readonly proxies?: ProxyEnvironment;
  /** How long to wait to be dialled. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** Told each check as it is made, also the one that fails. */
  readonly report?: (result: CheckResult) => void;
}

/** Lets this machine into a mesh. Resolves with its identity on disk; rejects with nothing changed anywhere. */
export async function joinNode(options: JoinOptions): Promise<NodeIdentity> {
  const { address, listen } = options;
  if (address === undefined && listen === undefined) {
    throw new IsthmusError('INVALID_FIELD', 'name the address of the parent, or where to listen for it', {
      field: 'address',
    });
  }
  // Settings that cannot be kept are found before the token is shown to anybody.
  settingsWithWay(options.dataDir, { listen, parents: [] });
  const progress = new Progress(options.report);
  const report = (result: CheckResult): void => progress.passed(result);
  const way =
    address === undefined
      ? new DialledWay(listen ?? '', { ...options, report })
      : new DiallingWay(address, { ...options, report });
  try {
    return await joinMesh(options, {
      wireVersions,
      softwareVersion,
      openSession: () => way.open(),
      configFor: (node) => settingsWithWay(options.dataDir, { listen, parents: parentsOf(node, address) }),
      async confirm(node) {
        await way.close();
        return confirmOverMesh(node, { listen, parents: parentsOf(node, address), dials: [] });
      },
      report,
    });
  } catch (thrown) {
    progress.failed(IsthmusError.from(thrown));
    throw thrown;
  } finally {
    await way.close();
  }
}

const checkOrder: readonly CheckName[] = ['address', 'tcp', 'proxy', 'pin', 'clock', 'enrol', 'mesh'];

/** Which check comes next, so that a failure can be told as the check that failed. */
class Progress {
  readonly #report: ((result: CheckResult) => void) | undefined;
  #next = 0;

  constructor(report: ((result: CheckResult) => void) | undefined) {
    this.#report = report;
  }

  passed(result: CheckResult): void {
    this.#next = checkOrder.indexOf(result.check) + 1;
    this.#report?.(result);
  }

  failed({ code, message, remedy }: IsthmusError): void {
    const byCode: CheckName | undefined =
      code === 'JOIN_DNS' ? 'address' : code === 'CA_FINGERPRINT' || code === 'JOIN_TLS' ? 'pin' : undefined;
    // Before the first check, it is the request itself that is wrong.
    const check = byCode ?? (this.#next === 0 ? undefined : checkOrder[this.#next]);
    if (check !== undefined) this.#report?.({ check, outcome: 'failed', detail: `${code}: ${message}`, remedy });
  }
}

function parentsOf({ parent }: ProvisionalNode, address: string | undefined): { node: string; address?: string }[] {
  return [{ node: parent, ...(address === undefined ? {} : { address }) }];
}

/** Reaches the server through the node at an address. */
class DiallingWay {
  readonly #address: string;
  readonly #options: JoinOptions;

  constructor(address: string, options: JoinOptions) {
    this.#address = address;
    this.#options = options;
  }

  async open(): Promise<PinnedSession> {
    const { pin, proxies = {}, report = () => undefined, signal } = this.#options;
    const { host, port } = parseAddress(this.#address);
    report(await checkAddress(host));
    report(await checkTcp(host, port, proxies));
    report(checkProxy(host, proxies));
    const limit = AbortSignal.any([AbortSignal.timeout(openMs), ...(signal === undefined ? [] : [signal])]);
    const route = { destination: 'server', source: 'joining', deadlineMs: openMs, signal: limit };
    const connection = await openEnrol(this.#address, route).catch((thrown: unknown) => {
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      // A refusal names its hop; without one, what answers at the address is not a node of the mesh.
      if (error.hop !== undefined || error.code !== 'UNREACHABLE') throw error;
      throw new IsthmusError('JOIN_TLS', error.message, { cause: error });
    });
    return sessionByDialling(connection.tls, pin);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Waits for the parent to bring the server's stream. */
class DialledWay {
  readonly #listen: string;
  readonly #options: JoinOptions;
  #listener: EnrolListener | undefined;

  constructor(listen: string, options: JoinOptions) {
    this.#listen = listen;
    this.#options = options;
  }

  async open(): Promise<PinnedSession> {
    const { pin, waitMs = defaultWaitMs, signal, report } = this.#options;
    const credentials = await selfSigned();
    const listener = await listenForEnrol(this.#listen, credentials);
    this.#listener = listener;
    report?.({ check: 'tcp', outcome: 'ok', detail: `waiting to be dialled at ${listener.address}` });
    const limit = AbortSignal.any([AbortSignal.timeout(waitMs), ...(signal === undefined ? [] : [signal])]);
    for (;;) {
      const bare: Duplex = await listener.next(limit);
      try {
        return await sessionByListening(bare, pin, credentials);
      } catch (thrown) {
        // A scanner of ports gets this far; somebody with another authority is worth stopping for.
        if (IsthmusError.from(thrown).code !== 'JOIN_TLS') throw thrown;
      }
    }
  }

  async close(): Promise<void> {
    await this.#listener?.stop();
    this.#listener = undefined;
  }
}

async function confirmOverMesh(node: ProvisionalNode, config: MeshConfig): Promise<Confirmation> {
  const { authorityPem, meshId, role } = node.identity;
  const mesh = await createMesh(config, {
    identity: await IdentityStore.open(node.stagingDir),
    revocations: await RevocationList.open(node.stagingDir, authorityPem, meshId),
    log: silentLogger(),
    relaying: role === 'relay',
    softwareVersion,
  });
  try {
    return await confirmWithin(mesh, Date.now() + confirmMs);
  } finally {
    await mesh.stop();
  }
}

async function confirmWithin(mesh: Mesh, deadlineAtMs: number): Promise<Confirmation> {
  const left = (): number => Math.max(1, deadlineAtMs - Date.now());
  let confirmer = '';
  const client = grpcClient<IdentityClient>(identityTypes.Identity, async (signal) => {
    const stream = await mesh.dial({
      node: 'server',
      service: 'identity',
      class: 'control',
      deadlineMs: left(),
      signal,
    });
    confirmer = stream.peer.node;
    return stream;
  });
  try {
    for (;;) {
      const startedAtMs = performance.now();
      try {
        const { certificatePem } = await client.unary<ConfirmResponse__Output>(
          (c, options, done) => c.confirm({}, options, done),
          { deadlineMs: left() },
        );
        const tookMs = Math.round(performance.now() - startedAtMs);
        const detail = `confirmed by ${confirmer} over every hop in ${tookMs} ms`;
        return { check: { check: 'mesh', outcome: 'ok', detail }, certificatePem };
      } catch (thrown) {
        const error = IsthmusError.from(thrown);
        if (error.code !== 'UNREACHABLE' || left() <= retryMs) throw withLinkError(error, mesh);
        await linkChange(mesh, retryMs);
      }
    }
  } finally {
    client.close();
  }
}

/** Why the link to the parent is down says more than that there is none. */
function withLinkError(error: IsthmusError, mesh: Mesh): IsthmusError {
  const [link] = mesh.links();
  if (error.code !== 'UNREACHABLE' || link === undefined || link.up) return error;
  const reason = link.lastErrorCode === undefined ? '' : ` (${link.lastErrorCode})`;
  return new IsthmusError('UNREACHABLE', `the link to ${link.peer} does not come up${reason}`, {
    hop: link.peer,
    cause: error,
  });
}

function linkChange(mesh: Mesh, limitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const stop = mesh.onLinksChanged(done);
    const timer = setTimeout(done, limitMs);
  });
}
