// Upgrades of nodes as tasks: in order, one first, each confirmed only when it works, and none after one that failed.
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { submitHealthCheck } from '../../server/health/health-task.ts';
import { waitFor } from '../support/wait.ts';
import { actor } from '../tasks/harness.ts';
import { signed, startSite, VERSION, type Site } from './site.ts';

/** Who had begun when this node was asked to begin: the canary had been confirmed. */
function order(site: Site): string[] {
  const begun = [...site.hosts].flatMap(([id, { begins }]) => begins.map((begin) => ({ id, at: begin.id })));
  return begun.toSorted((a, b) => (a.at < b.at ? -1 : 1)).map(({ id }) => id);
}

describe('an upgrade of a site', () => {
  it('takes one tentacle first, then the others, mirrors, and relays last', async () => {
    const site = await startSite(['web-1', 'web-2', 'web-3']);
    // Nothing is confirmed yet, so nothing but the canary begins.
    site.host('web-1').holdsAt = 'ORDERED';
    const task = await site.upgrade({ site: 'eu', atOnce: 2 });
    await waitFor(() => site.host('web-1').asked > 3);
    expect(order(site)).toEqual(['web-1']);
    site.host('web-1').holdsAt = undefined;
    expect(await site.ended(task)).toMatchObject({ state: 'succeeded', kind: 'upgrade' });
    expect((await site.store.tasks.get(task)).payload).toMatchObject({
      machines: ['web-1', 'web-2', 'web-3', 'mirror-eu', 'eu'],
    });
    for (const [id, host] of site.hosts) {
      expect({ id, version: host.version, confirmed: host.confirmed.length }).toEqual({
        id,
        version: VERSION,
        confirmed: 1,
      });
      const [ticket] = (await site.store.tickets.byTask(task)).filter(({ target }) => target === id);
      expect(ticket).toMatchObject({ detail: { before: '0.1.0', version: VERSION, from: 'mirror-eu', bytes: 100 } });
      expect(host.begins).toMatchObject([{ id: ticket!.id, confirmWithinS: 120 }]);
    }
    expect(await site.messages(task)).toEqual(
      expect.arrayContaining([
        'web-1: runs 0.1.0, and fetches 0.2.0',
        'web-1: 40 % from mirror-eu',
        'web-1: has 0.2.0, whose signature is right',
        'web-1: its host unpacks 0.2.0',
        'web-1: runs 0.2.0, which is to be confirmed',
        'web-1: keeps 0.2.0',
      ]),
    );
    expect(await site.events()).toEqual([
      ...['web-1', 'web-2', 'web-3', 'mirror-eu', 'eu'].map((id) => `node.upgrade-requested ${id}`),
      ...Array.from({ length: 5 }, () => expect.stringContaining('node.upgraded') as unknown),
    ]);
    // Repeating it changes nothing.
    const again = await site.upgrade();
    expect(await site.ended(again)).toMatchObject({ state: 'succeeded' });
    expect(site.host('web-1').begins).toHaveLength(1);
  });

  it('stops at the first failure, and says which nodes were not tried', async () => {
    const site = await startSite(['web-1', 'web-2', 'web-3']);
    site.host('web-2').phases = ['FETCHING', 'ORDERED', 'UNPACKING', 'RESTARTING', 'AWAITING_CONFIRMATION'];
    site.host('web-2').questionsAllowed = 3;
    site.tentacle('web-2').health = { diskFreeBytes: 1, diskTotalBytes: 100 * 1024 ** 3 };
    // Usable before, and no more once the new version runs.
    const after = site.tentacle('web-2').health;
    site.tentacle('web-2').health = {};
    site.host('web-2').onRestart = () => (site.tentacle('web-2').health = after);
    const task = await site.upgrade();
    expect(await site.ended(task)).toMatchObject({
      state: 'failed',
      errorCode: 'MACHINES_FAILED',
      errorDetail: 'failed on web-2; not tried: web-3, mirror-eu, eu',
    });
    expect(await site.ends(task)).toEqual({
      'web-1': 'succeeded',
      'web-2': 'failed UPGRADE_NOT_CONFIRMED',
      'web-3': 'skipped UPGRADE_STOPPED',
      'mirror-eu': 'skipped UPGRADE_STOPPED',
      eu: 'skipped UPGRADE_STOPPED',
    });
    const [failed] = (await site.store.tickets.byTask(task)).filter(({ target }) => target === 'web-2');
    expect(failed!.errorDetail).toMatch(/^went back to 0.1.0: not confirmed while its machine is unhealthy: 0 MiB/);
    expect(site.host('web-2').confirmed).toEqual([]);
    expect((await site.events()).slice(-2)).toEqual(['node.upgraded web-1', 'node.upgrade-went-back web-2']);
  });

  it('confirms a machine that was unhealthy before, once it answers', async () => {
    const site = await startSite(['web-1']);
    site.tentacle('web-1').health = { diskFreeBytes: 1, diskTotalBytes: 100 * 1024 ** 3 };
    const task = await site.upgrade({ node: 'web-1' });
    expect(await site.ended(task)).toMatchObject({ state: 'succeeded', title: 'upgrade of web-1 to 0.2.0' });
  });

  it('goes on after nodes that no version could be put on, and fails', async () => {
    const site = await startSite(['web-1', 'web-2', 'web-3', 'web-4', 'web-5', 'web-6']);
    site.host('web-1').unsupported = 'its software was not installed from a tarball';
    site.host('web-2').architecture = 'arm64';
    site.host('web-3').version = '0.3.0';
    site.host('web-3').denial = new IsthmusError('UPGRADE_DOWNGRADE', '0.2.0 is lower than 0.3.0, which runs here');
    site.host('web-4').version = VERSION;
    site.host('web-6').isOld = true;
    const task = await site.upgrade();
    expect((await site.ended(task)).errorDetail).toBe('failed on web-1, web-2, web-3, web-6');
    expect(await site.ends(task)).toEqual({
      'web-1': 'failed UPGRADE_UNSUPPORTED',
      'web-2': 'failed SOFTWARE_ARCHITECTURE',
      'web-3': 'failed UPGRADE_DOWNGRADE',
      'web-4': 'succeeded',
      'web-5': 'succeeded',
      'web-6': 'failed UPGRADE_UNSUPPORTED',
      'mirror-eu': 'succeeded',
      eu: 'succeeded',
    });
    expect(site.host('web-4').begins).toEqual([]);
  });

  it('takes the tarball for the architecture of each host', async () => {
    const site = await startSite(['web-1', 'web-2']);
    site.host('web-2').architecture = 'arm64';
    const task = await site.upgrade({ site: 'eu', ...signed(['x64', 'arm64']) });
    expect((await site.ended(task)).state).toBe('succeeded');
    const asked = ['web-1', 'web-2'].map((id) => site.host(id).begins[0]!.tarball);
    expect(asked).toEqual(['isthmus-0.2.0-linux-x64.tar.gz', 'isthmus-0.2.0-linux-arm64.tar.gz']);
  });

  it('stops at a canary that was named and cannot be upgraded', async () => {
    const site = await startSite(['web-1', 'web-2']);
    site.host('web-2').unsupported = 'its software was not installed from a tarball';
    const task = await site.upgrade({ site: 'eu', canary: 'web-2' });
    expect((await site.ended(task)).state).toBe('failed');
    expect(await site.ends(task)).toMatchObject({
      'web-2': 'failed UPGRADE_UNSUPPORTED',
      'web-1': 'skipped UPGRADE_STOPPED',
    });
  });

  it.each([
    ['fail', 'failed UNREACHABLE', 'skipped UPGRADE_STOPPED', 'failed'],
    ['skip', 'skipped UNREACHABLE', 'succeeded', 'succeeded'],
  ] as const)('a node that does not answer: %s', async (unreachable, end, others, state) => {
    const site = await startSite(['web-1', 'web-2']);
    await site.host('web-1').away();
    const task = await site.upgrade({ site: 'eu', unreachable });
    expect((await site.ended(task)).state).toBe(state);
    // Where the first is left out, the next one is to show that the version works.
    const begun = [...site.hosts].filter(([, { begins }]) => begins.length > 0).map(([id]) => id);
    expect(begun[0]).toBe(unreachable === 'skip' ? 'web-2' : undefined);
    expect(await site.ends(task)).toMatchObject({ 'web-1': end, 'web-2': others });
    expect(await site.messages(task)).toContain('web-1: web-1 rejects the call; trying again');
  });
});

describe('a canary that does not answer', () => {
  it('ends the upgrade before any other node, although the unreachable ones are left out', async () => {
    const site = await startSite(['web-1', 'web-2'], { reachMs: 60_000 });
    await site.host('web-2').away();
    const task = await site.upgrade({ site: 'eu', canary: 'web-2', unreachable: 'skip' });
    expect(await site.ended(task)).toMatchObject({
      state: 'failed',
      errorCode: 'MACHINES_FAILED',
      errorDetail: 'failed on web-2; not tried: web-1, mirror-eu, eu',
    });
    expect(await site.ends(task)).toEqual({
      'web-2': 'failed UPGRADE_CANARY_UNREACHABLE',
      'web-1': 'skipped UPGRADE_STOPPED',
      'mirror-eu': 'skipped UPGRADE_STOPPED',
      eu: 'skipped UPGRADE_STOPPED',
    });
    const [ticket] = (await site.store.tickets.byTask(task)).filter(({ target }) => target === 'web-2');
    expect(ticket!.errorDetail).toBe('the canary does not answer: web-2 rejects the call (UNREACHABLE)');
  });
});

describe('a node that is being upgraded', () => {
  it('is followed by the next server where the one before stopped, and began once', async () => {
    const site = await startSite(['web-1']);
    site.host('web-1').holdsAt = 'UNPACKING';
    const task = await site.upgrade();
    await waitFor(() => site.host('web-1').asked > 4);
    await site.restart();
    site.host('web-1').holdsAt = undefined;
    expect((await site.ended(task)).state).toBe('succeeded');
    expect([...site.hosts.values()].map(({ begins }) => begins.length)).toEqual([1, 1, 1]);
  });

  it('may be away for longer than a restart takes', async () => {
    const site = await startSite(['web-1']);
    site.host('web-1').holdsAt = 'RESTARTING';
    const task = await site.upgrade({ node: 'web-1' });
    await waitFor(() => site.host('web-1').version === VERSION);
    await site.host('web-1').away();
    await waitFor(async () => (await site.messages(task)).some((text) => text.includes('no answer')));
    site.host('web-1').holdsAt = undefined;
    await site.host('web-1').listen();
    expect((await site.ended(task)).state).toBe('succeeded');
  });

  it('that never comes back is unreachable, which tells nothing of the version', async () => {
    const site = await startSite(['web-1'], { silentMs: 300 });
    site.host('web-1').holdsAt = 'RESTARTING';
    const task = await site.upgrade({ node: 'web-1' });
    await waitFor(() => site.host('web-1').version === VERSION);
    await site.host('web-1').away();
    expect((await site.ended(task)).state).toBe('failed');
    expect(await site.ends(task)).toEqual({ 'web-1': 'failed UNREACHABLE' });
  });

  it('loses its upgrade to a cancel only while its host has not begun', async () => {
    const site = await startSite(['web-1', 'web-2']);
    const cancel = (id: string) => site.store.transaction((tx) => cancelTask(tx, id, actor));
    site.host('web-1').holdsAt = 'FETCHING';
    const early = await site.upgrade();
    await waitFor(() => site.host('web-1').asked > 3);
    await cancel(early);
    expect((await site.ended(early)).state).toBe('cancelled');
    expect(await site.ends(early)).toMatchObject({ 'web-1': 'cancelled CANCELLED', 'web-2': 'cancelled CANCELLED' });
    expect(site.host('web-1')).toMatchObject({ version: '0.1.0', withdrawn: [expect.any(String)] });

    site.host('web-1').holdsAt = 'UNPACKING';
    const late = await site.upgrade();
    const before = site.host('web-1').asked;
    await waitFor(() => site.host('web-1').asked > before + 4);
    await cancel(late);
    await waitFor(async () => (await site.store.tasks.get(late)).state === 'cancelling');
    site.host('web-1').holdsAt = undefined;
    expect((await site.ended(late)).state).toBe('cancelled');
    expect(await site.ends(late)).toMatchObject({ 'web-1': 'succeeded', 'web-2': 'cancelled CANCELLED' });
  });

  it.each(['away', 'fetching'])('is given up at the deadline: %s', async (where) => {
    const site = await startSite(['web-1', 'web-2'], { reachMs: 60_000 });
    if (where === 'away') await site.host('web-1').away();
    site.host('web-1').holdsAt = 'FETCHING';
    const task = await site.upgrade({ site: 'eu', deadlineS: 1 });
    expect((await site.ended(task)).state).toBe('timed_out');
    const end = 'timed_out TASK_DEADLINE';
    expect(await site.ends(task)).toMatchObject({ 'web-1': end, 'web-2': end });
    expect(site.host('web-1').withdrawn).toHaveLength(where === 'away' ? 0 : 1);
  });

  it('waits while its host is busy with another upgrade', async () => {
    const site = await startSite(['web-1']);
    site.host('web-1').denial = new IsthmusError('UPGRADE_BUSY', 'the host is busy with upgrade 7');
    const task = await site.upgrade({ node: 'web-1' });
    await waitFor(async () => (await site.messages(task)).includes('web-1: waits: the host is busy with upgrade 7'));
    site.host('web-1').denial = undefined;
    expect((await site.ended(task)).state).toBe('succeeded');
  });

  it('waits for its turn where another node of its host has ordered, too', async () => {
    const site = await startSite(['web-1'], { orderMs: 1_000 });
    const { phases } = site.host('web-1');
    site.host('web-1').phases = phases.flatMap((phase) => (phase === 'ORDERED' ? [phase, phase] : [phase]));
    site.host('web-1').busyQuestions = 250;
    const task = await site.upgrade({ node: 'web-1' });
    expect((await site.ended(task)).state).toBe('succeeded');
    expect(await site.messages(task)).toContain('web-1: waits: the host is busy with upgrade 7');
  });

  it('gives its order back at the deadline, also while it waits for its turn', async () => {
    const site = await startSite(['web-1']);
    site.host('web-1').busyQuestions = Infinity;
    const task = await site.upgrade({ node: 'web-1', deadlineS: 1 });
    expect((await site.ended(task)).state).toBe('timed_out');
    expect(site.host('web-1').withdrawn).toHaveLength(1);
  });

  it('fails when its host does not begin, and gives its order back', async () => {
    const site = await startSite(['web-1'], { orderMs: 50 });
    site.host('web-1').holdsAt = 'ORDERED';
    const task = await site.upgrade({ node: 'web-1' });
    expect((await site.ended(task)).state).toBe('failed');
    expect(await site.ends(task)).toEqual({ 'web-1': 'failed UPGRADE_NOT_TAKEN' });
    expect(site.host('web-1').withdrawn).toHaveLength(1);
  });

  it('is checked for its health meanwhile, and another upgrade of its site waits', async () => {
    const site = await startSite(['web-1']);
    site.host('web-1').holdsAt = 'FETCHING';
    const first = await site.upgrade();
    const second = await site.upgrade({ node: 'web-1' });
    const check = await site.store.transaction((tx) => submitHealthCheck(tx, {}, actor));
    expect((await site.ended(check.id)).state).toBe('succeeded');
    expect((await site.store.tasks.get(second)).state).toBe('queued');
    site.host('web-1').holdsAt = undefined;
    expect((await site.ended(first)).state).toBe('succeeded');
    expect((await site.ended(second)).state).toBe('succeeded');
    expect(site.host('web-1').begins).toHaveLength(1);
  });
});
