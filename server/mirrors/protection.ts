// Tells each mirror what its cache must keep: pins of what the machines that fetch from it have and had before, and what
// people pinned; leases of open deployments, renewed as long as these are open.
import { background, every } from '../../lib/async/background.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { compareText } from '../../lib/text/compare.ts';
import type { KeepPayload } from '../../proto/gen/isthmus/mirror/v1/KeepPayload.ts';
import type { Store } from '../store/store.ts';
import type { Mirrors } from './mirrors.ts';

/** How long a lease lasts: longer than a server that is replaced is away. */
const LEASE_S = 900;
/** A mirror that lost its leases with a restart has them again after this. */
const REPEAT_EVERY_MS = 300_000;
const ROUND_EVERY_MS = 30_000;

export interface ProtectionDeps {
  readonly store: Store;
  readonly mirrors: Pick<Mirrors, 'answering' | 'keep'>;
  /** The mirrors from which a machine fetches. */
  readonly mirrorsOf: (machine: string) => readonly string[];
  readonly log: Logger;
}

/** What each of the mirrors must keep. */
export async function protectionByMirror({
  store,
  mirrorsOf,
}: Pick<ProtectionDeps, 'store' | 'mirrorsOf'>): Promise<ReadonlyMap<string, KeepPayload>> {
  // In the order in which they are added: a mirror evicts the last first, when it must.
  const pins = new Map<string, Set<string>>();
  const leases = new Map<string, Map<string, string>>();
  const pin = (mirror: string, sha256: string) => within(pins, mirror, () => new Set<string>()).add(sha256);
  const installed = await store.mirrorPins.installed();
  const pinInstalled = (which: 'sha256' | 'previousSha256') => {
    const digests = installed.map(({ machine, [which]: sha256 }) => ({ machine, sha256 }));
    for (const { machine, sha256 } of digests.toSorted((a, b) => compareText(a.sha256 ?? '', b.sha256 ?? ''))) {
      if (sha256 !== null) for (const mirror of mirrorsOf(machine)) pin(mirror, sha256);
    }
  };
  for (const { mirror, sha256 } of await store.mirrorPins.pinned()) pin(mirror, sha256);
  pinInstalled('sha256');
  pinInstalled('previousSha256');
  for (const { machine, sha256, task } of await store.mirrorPins.needed()) {
    for (const mirror of mirrorsOf(machine)) within(leases, mirror, () => new Map<string, string>()).set(sha256, task);
  }
  const mirrors = new Set([...pins.keys(), ...leases.keys()]);
  return new Map(
    [...mirrors].map((mirror) => [
      mirror,
      {
        pins: [...(pins.get(mirror) ?? [])],
        leases: [...(leases.get(mirror) ?? [])].map(([sha256, task]) => ({ sha256, task, forS: LEASE_S })),
      },
    ]),
  );
}

function within<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

/** Tells the mirrors now and then, and at once when a deployment begins or ends. The returned function stops it. */
export function startProtection(deps: ProtectionDeps): () => void {
  const { store, mirrors, log } = deps;
  const told = new Map<string, { readonly text: string; readonly atMs: number }>();

  async function tell(mirror: string, request: KeepPayload): Promise<void> {
    const text = JSON.stringify(request);
    const last = told.get(mirror);
    if (last?.text === text && performance.now() - last.atMs < REPEAT_EVERY_MS) return;
    try {
      await mirrors.keep(mirror, request);
      told.set(mirror, { text, atMs: performance.now() });
    } catch (err) {
      told.delete(mirror);
      log.debug({ err, mirror }, 'a mirror was not told what to keep; the next round tells it');
    }
  }

  async function round(): Promise<void> {
    const all = await protectionByMirror(deps);
    await Promise.all(mirrors.answering().map((id) => tell(id, all.get(id) ?? { pins: [], leases: [] })));
  }

  let isRunning = false;
  let isWanted = false;
  async function run(): Promise<void> {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    try {
      while (isWanted) {
        isWanted = false;
        await round();
      }
    } finally {
      isRunning = false;
    }
  }
  const stopEvery = every(ROUND_EVERY_MS, 'mirrors.protection', log, run);
  const stopEvents = store.onEvents((types) => {
    const hasChanged = ['deployment.created', 'deployment.ended', 'mirror.pinned', 'mirror.unpinned'] as const;
    if (hasChanged.some((type) => types.has(type))) background('mirrors.protection', log, run);
  });
  return () => {
    stopEvery();
    stopEvents();
  };
}
