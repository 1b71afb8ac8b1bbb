// `join`: the checks and proofs of certs/enrolment over the streams of paths.ts, and the confirmation over the first
// mesh with the new identity (confirm.ts).
import { joinMesh, type JoinRequest, type ProvisionalNode } from '../../certs/enrolment/join.ts';
import type { CheckName, CheckResult, ProxyEnv } from '../../certs/enrolment/preflight.ts';
import type { NodeIdentity } from '../../certs/identity.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import type { ParentConfig } from '../../mesh/types.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import { confirmOverMesh } from './confirm.ts';
import { settingsWithLinks } from '../settings.ts';
import { InboundPath, OutboundPaths, type ServerPaths } from './paths.ts';

export interface JoinOptions extends JoinRequest {
  /**
   * The ports of the parents that this node dials, host:port, in any order. Without any it waits on `listen` to be
   * dialled.
   */
  readonly addresses?: readonly string[] | undefined;
  /** host:port of this node's port. */
  readonly listen?: string | undefined;
  /** HTTP_PROXY and the like. */
  readonly proxies?: ProxyEnv;
  /** How long to wait to be dialled. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** Called with each check, the failed one included. */
  readonly report?: (result: CheckResult) => void;
}

/** Joins this machine to a mesh. Resolves with its identity on disk; rejects with nothing changed anywhere. */
export async function joinNode(options: JoinOptions): Promise<NodeIdentity> {
  const { dataDir, listen, signal } = options;
  // Finds unusable settings before the token is shown to anybody.
  settingsWithLinks(dataDir, { listen, parents: [] });
  const progress = new Progress(options.report);
  const report = (result: CheckResult): void => progress.passed(result);
  const paths = serverPaths({ ...options, report });
  try {
    return await joinMesh(options, {
      wireVersions: WIRE_VERSIONS,
      softwareVersion: SOFTWARE_VERSION,
      openSessions: () => paths.open(),
      configFor: (node) =>
        settingsWithLinks(dataDir, { listen, parents: parentsOf(node, paths.found), address: node.address }),
      confirm(node) {
        paths.stopListening();
        return confirmOverMesh(node, { listen, parents: parentsOf(node, paths.found), dials: [] }, { report, signal });
      },
      report,
    });
  } catch (thrown) {
    progress.failed(IsthmusError.from(thrown));
    throw thrown;
  } finally {
    await paths.close();
  }
}

function serverPaths(options: JoinOptions & { report: (result: CheckResult) => void }): ServerPaths {
  const [first, ...others] = options.addresses ?? [];
  if (first !== undefined) return new OutboundPaths([first, ...others], options);
  if (options.listen !== undefined) return new InboundPath(options.listen, options);
  throw new IsthmusError('INVALID_FIELD', 'name the address of the parent, or where to listen for it', {
    field: 'address',
  });
}

/** The parents for the node's settings, in the token's order, with the operator's addresses. */
function parentsOf({ parents }: ProvisionalNode, found: ReadonlyMap<string, string>): ParentConfig[] {
  const names = parents.map(({ node }) => node).join(', ');
  for (const [node, address] of found) {
    if (parents.some((parent) => parent.node === node && !parent.dials)) continue;
    throw new IsthmusError('PEER_UNEXPECTED', `${node} answers at ${address}; the token is for a child of ${names}`, {
      hop: node,
    });
  }
  return parents.map(({ node, dials }) => {
    if (dials) return { node };
    const address = found.get(node);
    if (address !== undefined) return { node, address };
    throw new IsthmusError('INVALID_FIELD', `this node has to dial ${node}, and no address of it is given`, {
      field: 'address',
      remedy: `Give the address of ${node}, as host:port.`,
      action: { code: 'GIVE_ADDRESS', arguments: { node } },
    });
  });
}

const CHECK_ORDER: readonly CheckName[] = [
  'port',
  'address',
  'tcp',
  'proxy',
  'pin',
  'clock',
  'enrol',
  'mesh',
  'confirm',
];

/** Knows which check comes next, to report a failure as that check. */
class Progress {
  readonly #report: ((result: CheckResult) => void) | undefined;
  #next = 0;

  constructor(report: ((result: CheckResult) => void) | undefined) {
    this.#report = report;
  }

  passed(result: CheckResult): void {
    this.#next = CHECK_ORDER.indexOf(result.check) + 1;
    this.#report?.(result);
  }

  failed({ code, message, remedy }: IsthmusError): void {
    // Before the first check the request itself is wrong.
    const check = checkOf(code) ?? (this.#next === 0 ? undefined : CHECK_ORDER[this.#next]);
    if (check !== undefined) this.#report?.({ check, outcome: 'failed', detail: `${code}: ${message}`, remedy });
  }
}

/** The check that a code always belongs to: with several parents, the order does not tell. */
function checkOf(code: IsthmusError['code']): CheckName | undefined {
  if (code === 'JOIN_DNS') return 'address';
  if (code === 'PORT_IN_USE' || code === 'PORT_FORBIDDEN' || code === 'ADDRESS_NOT_LOCAL') return 'port';
  if (code === 'JOIN_TCP' || code === 'JOIN_PROXY' || code === 'JOIN_NOT_DIALLED') return 'tcp';
  if (code === 'CA_FINGERPRINT' || code === 'JOIN_TLS') return 'pin';
  return code === 'CLOCK_SKEW' ? 'clock' : undefined;
}
