// Whether the mirrors of each site have what a release needs there, and waiting until they have.
import { IsthmusError } from '../../contract/errors.ts';
import type { MirrorReadiness, SiteReadiness } from '../../contract/mirrors.ts';
import { pause } from '../../lib/async/waiting.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import type { Store } from '../store/store.ts';
import { Halted, type TaskContext } from '../tasks/context.ts';
import type { TaskOutcome } from '../tasks/outcome.ts';
import type { Mirrors } from './mirrors.ts';
import { scopeOf, type SiteScope } from './scope.ts';

type Asked = Pick<Mirrors, 'all' | 'has'>;

export interface ReadinessDeps {
  readonly mirrors: Asked;
  readonly store: Pick<Store, 'machines' | 'releases'>;
}

/** A release in an environment. */
export interface AwaitedRelease {
  /** The id of the release. */
  readonly release: string;
  readonly environment: string;
}

/** Between two looks at the mirrors. */
const LOOK_EVERY_MS = 2_000;

/** Asks the mirrors of each site. */
export function readinessOf(mirrors: Asked, scope: readonly SiteScope[]): Promise<SiteReadiness[]> {
  const bySite = Map.groupBy(mirrors.all(), ({ site }) => site ?? '');
  return Promise.all(
    scope.map(async ({ site, machines, packages }) => {
      const own = (bySite.get(site) ?? []).map(({ id }) => mirrorReadiness(mirrors, id, packages));
      const found = await Promise.all(own);
      const totalBytes = packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      return {
        site,
        machines: machines.length,
        packages: packages.length,
        bytes: totalBytes,
        state: stateOf(found),
        mirrors: found,
      };
    }),
  );
}

async function mirrorReadiness(
  mirrors: Asked,
  mirror: string,
  packages: SiteScope['packages'],
): Promise<MirrorReadiness> {
  try {
    const there = await mirrors.has(
      mirror,
      packages.map(({ sha256 }) => sha256),
    );
    const missing = packages.filter(({ sha256 }) => !there.has(sha256));
    return {
      mirror,
      state: missing.length === 0 ? 'ready' : 'missing',
      missingBytes: missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      missing: missing.map(({ id, version }) => ({ id, version })),
    };
  } catch (thrown) {
    const { code } = IsthmusError.from(thrown);
    const state = code === 'MIRROR_UNSUPPORTED' ? 'unsupported' : 'unknown';
    return { mirror, state, missingBytes: null, missing: [], error: code };
  }
}

/** What cannot be warmed holds nothing up: its machines fetch from further away. */
function stateOf(mirrors: readonly MirrorReadiness[]): SiteReadiness['state'] {
  const asked = mirrors.filter(({ state }) => state !== 'unsupported');
  if (asked.length === 0) return mirrors.length === 0 ? 'no-mirror' : 'unsupported';
  if (asked.every(({ state }) => state === 'ready')) return 'ready';
  return asked.some(({ state }) => state === 'missing') ? 'missing' : 'unknown';
}

/**
 * Waits until every site that can be warmed has the release, and tells what is missing. The outcome of the task when it
 * is to finish before.
 */
export function readinessWaiter({ mirrors, store }: ReadinessDeps) {
  return async (
    context: TaskContext,
    { release: id, environment }: AwaitedRelease,
  ): Promise<TaskOutcome | undefined> => {
    const release = await store.releases.get(id);
    for (let told = ''; ;) {
      const scope = await scopeOf(store, release, { environments: [environment] });
      const sites = await readinessOf(mirrors, scope);
      const lacking = sites
        .filter(({ state }) => state === 'missing' || state === 'unknown')
        .map(lackText)
        .join('; ');
      if (lacking === '') {
        await context.message('every site is ready');
        return undefined;
      }
      if (context.finish.aborted) return notReady(context, lacking);
      // Only what changes is told: which mirrors, not how far they are.
      const waiting = sites.flatMap((site) => site.mirrors.map(({ mirror, state }) => `${mirror} ${state}`)).join();
      if (waiting !== told) await context.message(`waits until its sites are ready: ${lacking}`);
      told = waiting;
      await pause(LOOK_EVERY_MS, context.halt, context.finish);
      if (context.halt.aborted) throw new Halted();
    }
  };
}

function lackText({ site, mirrors }: SiteReadiness): string {
  const lacking = mirrors.filter(({ state }) => state === 'missing' || state === 'unknown');
  const words = lacking.map(({ mirror, missingBytes, error }) =>
    missingBytes === null
      ? `${mirror} does not answer (${error ?? 'UNREACHABLE'})`
      : `${mirror} lacks ${bytes(missingBytes)}`,
  );
  return `${site}: ${words.join(', ')}`;
}

function notReady({ finishReason }: TaskContext, lacking: string): TaskOutcome {
  if (finishReason === 'cancel') return { state: 'cancelled', errorCode: 'CANCELLED' };
  return { state: 'timed_out', errorCode: 'SITES_NOT_READY', errorDetail: `not begun: ${lacking}` };
}
