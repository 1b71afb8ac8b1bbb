// Subscriptions: every event once and in order, whatever fails, dies or is late.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { installedReleasesSubscription } from '../../server/deployments/installed.ts';
import { EventSubscriptions, type Subscription } from '../../server/events/subscriptions.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

async function emptyStore(): Promise<Store> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  return store;
}

type DeletedKind = 'site' | 'environment';

function deleted(store: Store, kind: DeletedKind, subject: string): Promise<void> {
  return store.transaction((tx) => tx.events.append({ actor: 'a', type: `${kind}.deleted`, subject, data: {} }));
}

/** Starts subscriptions that retry at once, and poll only when a test asks for it. */
async function started(
  store: Store,
  subscribed: Readonly<Record<string, Subscription<'site.deleted'>>>,
  pollEveryMs = 1_000_000,
): Promise<EventSubscriptions> {
  const retry = { baseMs: 1, capMs: 5, jitter: 'half' } as const;
  const subscriptions = new EventSubscriptions({ store, log: silentLogger(), pollEveryMs, retry });
  for (const [name, subscription] of Object.entries(subscribed)) subscriptions.subscribe(name, subscription);
  await subscriptions.start();
  onTestFinished(() => subscriptions.stop());
  return subscriptions;
}

/** Collects subjects; `fail` may throw before one is collected. */
function collector(from: 'start' | 'now', fail: (subject: string) => void = () => undefined) {
  const subjects: string[] = [];
  const subscription: Subscription<'site.deleted'> = {
    types: ['site.deleted'],
    from,
    async act(events) {
      for (const { subject } of events) {
        fail(subject);
        subjects.push(subject);
      }
    },
  };
  return { subjects, subscription };
}

/** Counts in the database. */
const counting: Subscription<'site.deleted'> = {
  types: ['site.deleted'],
  from: 'start',
  async handle(events, tx) {
    await tx.settings.set('count', String(Number((await tx.settings.get('count')) ?? 0) + events.length));
  },
};

const names = (count: number, prefix = 's') => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('a subscription', () => {
  it('gets each event of its types in order, earlier and later ones', async () => {
    const store = await emptyStore();
    for (const name of names(250)) await deleted(store, 'site', name);
    const { subjects, subscription } = collector('start');
    await started(store, { sites: subscription });
    for (const name of names(50, 't')) {
      await deleted(store, 'environment', name);
      await deleted(store, 'site', name);
    }
    await waitFor(() => subjects.length === 300, { what: 'the last event' });
    expect(subjects).toEqual([...names(250), ...names(50, 't')]);
  });

  it('that starts now gets later events, and after a restart those that it missed', async () => {
    const store = await emptyStore();
    await deleted(store, 'site', 'before');
    const { subjects, subscription } = collector('now');
    const first = await started(store, { sites: subscription });
    await deleted(store, 'site', 'one');
    await waitFor(() => subjects.length === 1, { what: 'the first event' });
    await first.stop();
    await deleted(store, 'site', 'two');
    await started(store, { sites: subscription });
    await waitFor(() => subjects.length === 2, { what: 'the second event' });
    expect(subjects).toEqual(['one', 'two']);
  });

  it('that fails retries the same event, reports how far behind it is, and holds up no other', async () => {
    const store = await emptyStore();
    let failing = true;
    const stuck = collector('start', (subject) => {
      if (failing && subject === 's1') throw new Error('no');
    });
    const other = collector('start');
    const subscriptions = await started(store, { stuck: stuck.subscription, other: other.subscription });
    await deleted(store, 'site', 's0');
    await waitFor(() => stuck.subjects.length === 1, { what: 'the first event' });
    const before = Date.now();
    for (const name of ['s1', 's2']) await deleted(store, 'site', name);
    await waitFor(() => other.subjects.length === 3, { what: 'the other subscription' });
    const found = await waitFor(
      async () => (await subscriptions.status()).find(({ name, failures }) => name === 'stuck' && failures > 3),
      { what: 'four failures' },
    );
    expect(found.behind).toBe(2);
    expect(found.behindSince).toBeGreaterThanOrEqual(before);
    failing = false;
    await waitFor(() => stuck.subjects.length === 3, { what: 'the failed events' });
    expect(stuck.subjects).toEqual(['s0', 's1', 's2']);
    await waitFor(async () => (await subscriptions.status()).every(({ behind, failures }) => behind + failures === 0), {
      what: 'both to be up to date',
    });
  });

  it('that fails in the middle of its work leaves nothing of it', async () => {
    const store = await emptyStore();
    let failures = 0;
    await started(store, {
      sites: {
        types: ['site.deleted'],
        from: 'start',
        async handle(events, tx) {
          await counting.handle(events, tx);
          failures += 1;
          if (failures <= 3) throw new Error('no');
        },
      },
    });
    await deleted(store, 'site', 'eu');
    await waitFor(() => failures === 4, { what: 'the fourth attempt' });
    await waitFor(async () => (await store.settings.get('count')) === '1', { what: 'the work' });
  });

  it('that two servers read is handled once', async () => {
    const store = await emptyStore();
    const subscriptions = [await started(store, { sites: counting }), await started(store, { sites: counting })];
    for (const name of names(100)) await deleted(store, 'site', name);
    const isDone = async () => (await subscriptions[0]!.status()).every(({ behind }) => behind === 0);
    await waitFor(isDone, { what: 'the last event' });
    expect(await store.settings.get('count')).toBe('100');
  });

  it('skips events of other types, so that they can be purged', async () => {
    const store = await emptyStore();
    const subscriptions = await started(store, { sites: counting }, 20);
    for (const name of names(150)) await deleted(store, 'environment', name);
    await waitFor(async () => (await subscriptions.status())[0]!.position >= 100, { what: 'its position' });
    expect(await store.settings.get('count')).toBeUndefined();
  });

  it('is removed when it is no longer registered', async () => {
    const store = await emptyStore();
    const first = await started(store, { old: counting, kept: counting });
    await first.stop();
    await started(store, { kept: counting });
    await expect(store.subscriptions.position('old')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await store.subscriptions.position('kept')).toBe(0);
  });

  it('is registered once', async () => {
    const subscriptions = new EventSubscriptions({ store: await emptyStore(), log: silentLogger() });
    subscriptions.subscribe('sites', counting);
    expect(() => subscriptions.subscribe('sites', counting)).toThrow(/registered twice/);
  });
});

it('the installed releases of a machine are deleted with it', async () => {
  const store = await emptyStore();
  const onMachine = (machine: string) => ({ machine, project: 'shop', environment: 'prod', step: 'web' });
  for (const machine of ['web-1', 'web-2']) {
    await store.installed.activated({
      ...onMachine(machine),
      release: 'r-1',
      version: '1',
      sha256: 'a',
      activatedAt: 1,
    });
  }
  await store.transaction((tx) =>
    tx.events.append({ actor: 'a', type: 'machine.deleted', subject: 'web-1', data: {}, at: 2 }),
  );
  const subscriptions = new EventSubscriptions({ store, log: silentLogger() });
  subscriptions.subscribe('installed-releases', installedReleasesSubscription);
  await subscriptions.start();
  onTestFinished(() => subscriptions.stop());
  await waitFor(async () => (await store.installed.find(onMachine('web-1'))) === undefined, {
    what: 'its release to go',
  });
  expect(await store.installed.find(onMachine('web-2'))).toBeDefined();
});

describe('a process that is killed between the work and the position', () => {
  const program = fileURLToPath(new URL('subscriber.ts', import.meta.url));

  async function run(dataDir: string, killAt?: string): Promise<unknown> {
    const child = spawn(process.execPath, [program, dataDir, ...(killAt === undefined ? [] : [killAt])], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return signal ?? code;
  }

  async function filled(): Promise<string> {
    const dataDir = await tempDir();
    const store = await openStore({ dataDir, log: silentLogger() });
    for (const name of names(250)) {
      await deleted(store, 'site', name);
      await deleted(store, 'environment', `e${name}`);
    }
    await store.close();
    return dataDir;
  }

  it('has done all work in the database once and in order', async () => {
    const dataDir = await filled();
    for (const subject of ['s0', 's99', 's100', 's249']) expect(await run(dataDir, subject)).toBe('SIGKILL');
    expect(await run(dataDir)).toBe(0);
    const store = await openStore({ dataDir, log: silentLogger() });
    onTestFinished(() => store.close());
    expect((await store.settings.get('handled'))?.trim().split('\n')).toEqual(names(250));
  });

  it('has done all work elsewhere, and repeated only what it had not committed', async () => {
    const dataDir = await filled();
    expect(await run(dataDir, 'es149')).toBe('SIGKILL');
    expect(await run(dataDir)).toBe(0);
    const acted = (await readFile(join(dataDir, 'acted'), 'utf8')).trim().split('\n');
    expect(acted).toEqual([...names(150, 'es'), ...names(250, 'es').slice(100)]);
  });
});
