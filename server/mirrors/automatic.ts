// Warms releases by themselves, as their project says: when they are created, or when a deployment of them to another
// environment has succeeded; and before a deployment that waits for its sites.
import type { Subscription } from '../events/subscriptions.ts';
import type { StoredEvent } from '../store/events/events.ts';
import type { Release } from '../store/projects/releases.ts';
import type { StoreTransaction } from '../store/store.ts';
import { versionKey } from '../../lib/package-versions.ts';
import type { Mirrors } from './mirrors.ts';
import { submitAutomatically } from './warming.ts';

const TYPES = ['release.created', 'deployment.created', 'deployment.ended'] as const;
type Followed = (typeof TYPES)[number];

/** A release, and the environments that it is warmed for; undefined for all. */
interface Due {
  readonly release: Release;
  readonly environments: readonly string[] | undefined;
}

/** The subscription that submits warmings. */
export function warmSubscription(mirrors: Pick<Mirrors, 'all'>): Subscription<Followed> {
  return {
    types: TYPES,
    from: 'now',
    async handle(events, tx) {
      for (const event of events) {
        const due = await dueAfter(event, tx);
        if (due !== undefined) await submitAutomatically(tx, mirrors, due);
      }
    },
  };
}

async function dueAfter(event: StoredEvent<Followed>, tx: StoreTransaction): Promise<Due | undefined> {
  if (event.type === 'release.created') {
    const { project, version } = event.data;
    const { warm } = (await tx.projects.find(project)) ?? {};
    return warm?.on === 'release' ? dueFor(tx, { project, version }, warm.environments) : undefined;
  }
  const deployment = await tx.deployments.byTask(event.subject);
  if (deployment === undefined) return undefined;
  if (event.type === 'deployment.created') {
    const { whenReady } = (await tx.tasks.get(event.subject)).payload as { readonly whenReady?: true };
    return whenReady === undefined ? undefined : dueFor(tx, deployment, [deployment.environment]);
  }
  if (event.data.state !== 'succeeded') return undefined;
  const { warm } = (await tx.projects.find(deployment.project)) ?? {};
  if (warm?.on !== 'promotion') return undefined;
  const { environment } = deployment;
  const { items: all } = warm.environments === undefined ? await tx.environments.list({ limit: 500 }) : { items: [] };
  return dueFor(
    tx,
    deployment,
    after(environment, warm.environments ?? all.map(({ id }) => id), warm.environments !== undefined),
  );
}

/** The environments that come after one: in a list of the project those behind it, else all others. */
function after(environment: string, environments: readonly string[], isOrdered: boolean): readonly string[] {
  return isOrdered
    ? environments.slice(environments.indexOf(environment) + 1)
    : environments.filter((each) => each !== environment);
}

async function dueFor(
  tx: StoreTransaction,
  { project, version }: { readonly project: string; readonly version: string },
  environments: readonly string[] | undefined,
): Promise<Due | undefined> {
  if (environments?.length === 0) return undefined;
  const release = await tx.releases.findVersion(project, versionKey(version));
  return release === undefined ? undefined : { release, environments };
}
