// The end of a join: starts a first mesh with the new identity, crosses it through every parent to the server and back,
// and confirms. With the confirmation the node is in the mesh.
import type { ProvisionalNode } from '../../certs/enrolment/join.ts';
import type { CheckResult } from '../../certs/enrolment/preflight.ts';
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import type { ConfirmResponse__Output } from '../../proto/gen/isthmus/identity/v1/ConfirmResponse.ts';
import type { IdentityClient } from '../../proto/gen/isthmus/identity/v1/Identity.ts';
import { pingThrough } from '../../mesh/echo.ts';
import { createMesh } from '../../mesh/mesh.ts';
import type { Mesh, MeshConfig } from '../../mesh/types.ts';
import { pauseUntil } from '../../lib/async/waiting.ts';

const identityTypes = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

/**
 * A parent that dials this node may be in its longest back-off. The enrolment session, which holds the token, lasts
 * longer.
 */
const CONFIRM_TIMEOUT_MS = 40_000;
const RETRY_MS = 250;

interface ConfirmOptions {
  readonly signal?: AbortSignal | undefined;
  report(result: CheckResult): void;
}

/** Crosses the mesh through each parent and confirms; resolves with the lasting certificate. */
export async function confirmOverMesh(
  node: ProvisionalNode,
  config: MeshConfig,
  options: ConfirmOptions,
): Promise<string> {
  const { authorityPem, meshId, role } = node.identity;
  const mesh = await createMesh(config, {
    identity: await IdentityStore.open(node.stagingDir),
    revocations: await RevocationList.open(node.stagingDir, authorityPem, meshId),
    log: silentLogger(),
    relaying: role === 'relay',
    softwareVersion: SOFTWARE_VERSION,
    services: MESH_SERVICES,
  });
  const attempt = { mesh, untilMs: performance.now() + CONFIRM_TIMEOUT_MS, signal: options.signal };
  try {
    const crossed = await Promise.allSettled(node.parents.map((parent) => cross(parent.node, node, attempt)));
    for (const outcome of crossed) {
      if (outcome.status === 'rejected') throw outcome.reason;
      options.report({ check: 'mesh', outcome: 'ok', detail: outcome.value });
    }
    const { certificatePem, by } = await confirm(attempt);
    options.report({ check: 'confirm', outcome: 'ok', detail: `${by} has confirmed the enrolment` });
    return certificatePem;
  } finally {
    await mesh.stop();
  }
}

interface Attempt {
  readonly mesh: Mesh;
  /** Of the monotonic clock. */
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Measures one round trip to the server through one parent. */
async function cross(parent: string, { identity }: ProvisionalNode, attempt: Attempt): Promise<string> {
  const { mesh, signal } = attempt;
  return untilReached(parent, attempt, async (deadlineMs) => {
    const { facts, roundTripMs, direct } = await pingThrough(mesh, parent, { deadlineMs, signal });
    const through = direct ? '' : ` through ${parent} and every hop`;
    return `${facts.node} answers ${identity.node}${through} in ${Math.round(roundTripMs)} ms`;
  });
}

async function confirm(attempt: Attempt): Promise<{ certificatePem: string; by: string }> {
  const { mesh, untilMs } = attempt;
  let by = 'server';
  const client = grpcClient<IdentityClient>(identityTypes.Identity, async (signal) => {
    const deadlineMs = Math.max(1, untilMs - performance.now());
    const target = { node: 'server', service: 'identity', class: 'control' } as const;
    const stream = await mesh.dial({ ...target, deadlineMs, signal });
    by = stream.peer.node;
    return stream;
  });
  try {
    return await untilReached(undefined, attempt, async (deadlineMs) => {
      const { certificatePem } = await client.unary<ConfirmResponse__Output>(
        (c, options, done) => c.confirm({}, options, done),
        { deadlineMs, ...(attempt.signal === undefined ? {} : { signal: attempt.signal }) },
      );
      return { certificatePem, by };
    });
  } finally {
    client.close();
  }
}

/** Retries while the server is unreachable, until the deadline. */
async function untilReached<T>(
  parent: string | undefined,
  { mesh, untilMs, signal }: Attempt,
  work: (deadlineMs: number) => Promise<T>,
): Promise<T> {
  for (;;) {
    const leftMs = Math.max(1, untilMs - performance.now());
    try {
      return await work(leftMs);
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      const isLast = untilMs - performance.now() <= RETRY_MS || signal?.aborted === true;
      if (error.code !== 'UNREACHABLE' || isLast) throw withLinkError(error, parent, mesh);
      await pauseUntil((wake) => mesh.onLinksChanged(wake), { ms: RETRY_MS });
    }
  }
}

/** Replaces UNREACHABLE by the reason why the link to the parent is down. */
function withLinkError(error: IsthmusError, parent: string | undefined, mesh: Mesh): IsthmusError {
  const link = mesh.links().find(({ peer, up }) => !up && (parent === undefined || peer === parent));
  if (!['UNREACHABLE', 'DEADLINE_EXCEEDED'].includes(error.code) || link === undefined) return error;
  const who = link.dialledBy === 'us' ? '' : `: ${link.peer} has not dialled this node`;
  const reason = link.lastErrorCode === undefined ? who : ` (${link.lastErrorCode})`;
  return new IsthmusError('UNREACHABLE', `the link to ${link.peer} does not come up${reason}`, {
    hop: link.peer,
    cause: error,
  });
}
