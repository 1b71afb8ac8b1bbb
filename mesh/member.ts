// What every part below the server is made of: the identity it has joined with, the lock on its folder, and its place
// in the mesh, where it renews its certificate and reports to the server for as long as it runs.
import { IdentityStore } from '../certs/identity.ts';
import type { Role } from '../certs/peer.ts';
import { keepRenewed, renewOverMesh } from '../certs/renewal.ts';
import { RevocationList } from '../certs/revocations.ts';
import { lockDataDir } from '../lib/data-lock.ts';
import { IsthmusError } from '../lib/errors.ts';
import type { Teardown } from '../lib/lifecycle.ts';
import type { Logger } from '../lib/log.ts';
import { softwareVersion } from '../lib/version.ts';
import { linkTimeout } from './limits.ts';
import { createMesh } from './mesh.ts';
import { Refusals } from './refusals.ts';
import { reportToServer, type ReportOptions } from './report.ts';
import type { DialAssignment, Mesh, ParentConfig } from './types.ts';

/** Over several hops of slow lines. */
const renewalDialDeadlineMs = 20_000;

export interface MemberConfig {
  readonly dataDir: string;
  /** host:port where others dial it; without it, it only dials. */
  readonly listen?: string | undefined;
  readonly parents: readonly ParentConfig[];
  /** What it dials besides, and whether it forwards what is not for it: relays. */
  readonly dials?: readonly DialAssignment[];
  readonly relaying?: boolean;
  readonly linkTimeoutS?: number | undefined;
}

export interface Member {
  readonly dataDir: string;
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly mesh: Mesh;
}

/**
 * Takes its place in the mesh. IDENTITY_INVALID for a folder of another role, DATA_DIR_LOCKED for one that is in use.
 */
export async function openMember(
  role: Exclude<Role, 'server'>,
  { dataDir, listen, parents, dials = [], relaying = false, linkTimeoutS }: MemberConfig,
  { log, teardown }: { readonly log: Logger; readonly teardown: Teardown },
): Promise<Member> {
  const identity = await IdentityStore.open(dataDir);
  const { node, role: joinedAs, authorityPem, meshId } = identity.current();
  if (joinedAs !== role) throw new IsthmusError('IDENTITY_INVALID', `${node} is a ${joinedAs}, not a ${role}`);
  const lock = lockDataDir(dataDir);
  teardown.add(() => {
    lock.release();
  });
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
  const refusals = Refusals.open(dataDir, log);
  teardown.add(() => refusals.close());
  const mesh = await createMesh(
    { listen, parents, dials: [...dials] },
    { identity, revocations, log, relaying, softwareVersion, refusals, limits: linkTimeout(linkTimeoutS) },
  );
  teardown.add(() => mesh.stop());
  return { dataDir, identity, revocations, mesh };
}

/** Keeps its certificate renewed and the server told. Call it once its services are there to be used. */
export function keepMember({ dataDir, identity, mesh }: Member, { log, teardown, ...report }: MemberUpkeep): void {
  const dial = { node: 'server', service: 'identity', class: 'control', deadlineMs: renewalDialDeadlineMs } as const;
  const renewal = keepRenewed({ identity, log, renew: renewOverMesh((signal) => mesh.dial({ ...dial, signal })) });
  teardown.add(() => renewal.stop());
  const reports = reportToServer({ ...report, mesh, identity, log, dataDir });
  teardown.add(() => reports.stop());
}

interface MemberUpkeep extends Pick<ReportOptions, 'extra' | 'onAssignment'> {
  readonly log: Logger;
  readonly teardown: Teardown;
}
