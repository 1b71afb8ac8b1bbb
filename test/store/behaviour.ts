// What every store must do, whatever its dialect. A dialect's test file calls `storeBehaviour` with its opener.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { newId } from '../../lib/ids.ts';
import type { Store } from '../../server/store/store.ts';
import { addTask, addTicket, claim, lines } from './samples.ts';

export function storeBehaviour(dialect: string, open: () => Promise<Store>): void {
  describe(`tasks on ${dialect}`, () => {
    it('claims the oldest first, each once, with epoch 1', async () => {
      const store = await open();
      const second = await addTask(store, { createdAt: 20 });
      const first = await addTask(store, { createdAt: 10 });
      expect(await claim(store)).toEqual({ task: first, epoch: 1 });
      expect(await claim(store)).toEqual({ task: second, epoch: 1 });
      expect(await store.tasks.claimNext({ owner: 'server-2', leaseMs: 1, now: 2000 })).toBeUndefined();
    });

    it('gives one task to one of twenty claimers', async () => {
      const store = await open();
      await addTask(store);
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.tasks.claimNext({ owner: `server-${i}`, leaseMs: 1000, now: 2000 })),
      );
      expect(claims.filter((task) => task !== undefined)).toHaveLength(1);
    });

    it('lists what is not reported to tentacles yet, by executor, with the oldest tickets of each', async () => {
      const store = await open();
      await addTask(store);
      const fence = await claim(store);
      const ids = ['away', 'away', 'away', 'there'].map((executor) => ({ id: newId(), executor }));
      const rows = ids.map(({ id, executor }, attempt) => ({
        ...{ id, target: 'm-1', executor, step: 0, action: 'drain', attempt, createdAt: 2000 },
      }));
      await store.transaction(async (tx) => {
        await tx.tickets.insert(fence, rows);
        for (const [index, { id }] of rows.entries()) {
          await tx.tickets.updateFenced(fence, id, { state: 'succeeded', startedAt: 2000, endedAt: 3000 + index });
        }
      });
      const named = async (perExecutor: number, executors: number, afterExecutor = '', since = 0) =>
        (await store.tickets.uncompleted(since, { afterExecutor, executors, perExecutor })).map(({ id }) => id);
      const [first, second, third, there] = rows.map(({ id }) => id);
      expect(await named(9, 9)).toEqual([first, second, third, there]);
      expect(await named(2, 9)).toEqual([first, second, there]);
      expect(await named(2, 1)).toEqual([first, second]);
      expect(await named(9, 1, 'away')).toEqual([there]);
      expect(await named(9, 9, 'there')).toEqual([]);
      expect(await named(9, 9, '', 3002)).toEqual([third, there]);
      await store.tickets.completed(first!, 4000);
      expect(await named(1, 9)).toEqual([second, there]);
      const cancelled = async () =>
        (await store.tickets.uncompleted(0, { afterExecutor: '', executors: 9, perExecutor: 9 })).map(
          (each) => each.cancelled,
        );
      expect(await cancelled()).toEqual([false, false, false]);
      await store.transaction((tx) => tx.tickets.updateFenced(fence, third!, { endedAt: 1_000_000 }));
      await store.transaction((tx) => tx.tickets.updateFenced(fence, there!, { errorCode: 'LOG_QUOTA' }));
      expect(await cancelled()).toEqual([false, true, true]);
      await store.transaction((tx) => tx.tasks.requestCancel(fence.task, 4000));
      expect(await cancelled()).toEqual([true, true, true]);
    });

    it('lets another owner claim when the lease has expired, and rejects every write of the first', async () => {
      const store = await open();
      const { fence, ticket } = await addTicket(store);
      const later = await claim(store, 'server-2', 12_001);
      expect(later).toEqual({ task: fence.task, epoch: 2 });
      const before = await snapshot(store, fence.task);
      const writes = [
        () => store.tasks.renewLease(fence, { leaseMs: 1000, now: 13_000 }),
        () => store.tasks.freeLease(fence),
        () => store.transaction((tx) => tx.tasks.markRunning(fence, 13_000)),
        () => store.transaction((tx) => tx.tasks.end(fence, { state: 'failed', now: 13_000 })),
        () => store.transaction((tx) => tx.tickets.updateFenced(fence, ticket, { state: 'failed' })),
        () =>
          store.transaction((tx) =>
            tx.tickets.insert(fence, [
              { id: newId(), step: 1, action: 'script', target: 'm-1', executor: 'm-1', attempt: 1, createdAt: 1 },
            ]),
          ),
        () => store.transaction((tx) => tx.logLines.append(fence, ticket, 1, lines(1, 3))),
        () => store.transaction((tx) => tx.logLines.append(fence, ticket, 1, [])),
        () => store.transaction((tx) => tx.taskEvents.append(fence.task, { at: 1, text: 'stale' }, fence.epoch)),
      ];
      for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'STALE_EPOCH' });
      expect(await snapshot(store, fence.task)).toEqual(before);
    });

    it('ends once, whatever comes after', async () => {
      const store = await open();
      await addTask(store);
      const fence = await claim(store);
      await store.transaction((tx) => tx.tasks.end(fence, { state: 'succeeded', now: 3000 }));
      await expect(
        store.transaction((tx) => tx.tasks.end(fence, { state: 'failed', now: 3001 })),
      ).rejects.toMatchObject({ code: 'TASK_ENDED' });
      const cancelled = await store.transaction((tx) => tx.tasks.requestCancel(fence.task, 3002));
      expect(cancelled).toMatchObject({ state: 'succeeded', endedAt: 3000, cancelRequestedAt: null });
      expect(await store.tasks.openCount()).toBe(0);
    });

    it('cancels idempotently, with one entry in the stream', async () => {
      const store = await open();
      const id = await addTask(store);
      await store.transaction((tx) => tx.tasks.requestCancel(id, 3000));
      const again = await store.transaction((tx) => tx.tasks.requestCancel(id, 4000));
      expect(again).toMatchObject({ state: 'cancelling', cancelRequestedAt: 3000 });
      const states = (await store.taskEvents.stream(id, 0, 10)).map((entry) => entry.text);
      expect(states).toEqual(['queued', 'cancelling']);
    });

    it('runs the tasks of one concurrency key one at a time, in order, and those of others concurrently', async () => {
      const store = await open();
      const first = await addTask(store, { concurrencyKey: 'shop to prod', createdAt: 1 });
      const second = await addTask(store, { concurrencyKey: 'shop to prod', createdAt: 2 });
      const elsewhere = await addTask(store, { concurrencyKey: 'shop to test', createdAt: 3 });
      const free = await addTask(store, { createdAt: 4 });
      const fence = await claim(store);
      expect(fence.task).toBe(first);
      expect([(await claim(store)).task, (await claim(store)).task]).toEqual([elsewhere, free]);
      expect(await store.tasks.claimNext({ owner: 'x', leaseMs: 1, now: 2000 })).toBeUndefined();
      expect(await store.tasks.blockers(await store.tasks.get(second))).toEqual([first]);
      expect(await store.tasks.blockers(await store.tasks.get(free))).toEqual([]);
      await store.transaction((tx) => tx.tasks.end(fence, { state: 'failed', now: 3000 }));
      expect((await claim(store)).task).toBe(second);
      expect(await store.tasks.blockers(await store.tasks.get(second))).toEqual([]);
    });

    it('lets no task of a key overtake an earlier one, even after a clock change or an expired lease', async () => {
      const store = await open();
      const key = { concurrencyKey: 'k' };
      const ids = [await addTask(store, { ...key, createdAt: 30 }), await addTask(store, { ...key, createdAt: 30 })];
      ids.push(await addTask(store, { ...key, createdAt: 10 }));
      const fence = await claim(store);
      expect(fence.task).toBe(ids[0]);
      // Added while the first runs, with an earlier time.
      ids.push(await addTask(store, { ...key, createdAt: 5 }));
      expect(await store.tasks.claimNext({ owner: 'x', leaseMs: 1, now: 2000 })).toBeUndefined();
      expect(await store.tasks.blockers(await store.tasks.get(ids[3]!))).toEqual(ids.slice(0, 3));
      // Its owner dies: another one claims the same task, and none after it.
      const again = await claim(store, 'server-2', 12_001);
      expect(again).toEqual({ task: ids[0], epoch: 2 });
      expect(await store.tasks.claimNext({ owner: 'x', leaseMs: 1, now: 12_001 })).toBeUndefined();
      await store.transaction((tx) => tx.tasks.freeLease(again));
      const order = [];
      for (let n = 0; n < ids.length; n += 1) {
        const next = await claim(store, 'server-3', 12_001);
        order.push(next.task);
        await store.transaction((tx) => tx.tasks.end(next, { state: 'succeeded', now: 13_000 }));
      }
      expect(order).toEqual(ids);
      // Ended tasks count: the next one comes after them.
      const last = await addTask(store, { ...key, createdAt: 1 });
      expect((await claim(store, 'server-3', 14_000)).task).toBe(last);
    });

    it('keeps one key at one task at a time, whatever is added, claimed, lost and ended in between', async () => {
      const moves = fc.constantFrom('add a', 'add b', 'claim', 'lose', 'end');
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(moves, fc.nat(5)), { maxLength: 40 }), async (steps) => {
          const store = await open();
          const added = new Map<string, string[]>(['a', 'b'].map((key) => [key, []]));
          const ended = new Map<string, string[]>(['a', 'b'].map((key) => [key, []]));
          const held = new Map<string, { task: string; epoch: number }>();
          for (const [step, createdAt] of steps) {
            const [key = ''] = held.keys();
            const fence = held.get(key);
            if (step.startsWith('add')) {
              const concurrencyKey = step.slice(4);
              added.get(concurrencyKey)!.push(await addTask(store, { concurrencyKey, createdAt }));
            } else if (step === 'claim') {
              const task = await store.tasks.claimNext({ owner: 'x', leaseMs: 10_000, now: 2000 });
              if (task === undefined) continue;
              expect(held.has(task.concurrencyKey!)).toBe(false);
              held.set(task.concurrencyKey!, { task: task.id, epoch: task.epoch });
            } else if (fence !== undefined) {
              held.delete(key);
              if (step === 'lose') await store.tasks.freeLease(fence);
              else await store.transaction((tx) => tx.tasks.end(fence, { state: 'failed', now: 3000 }));
              if (step === 'end') ended.get(key)!.push(fence.task);
            }
          }
          for (const [key, ids] of ended) expect(ids).toEqual(added.get(key)!.slice(0, ids.length));
          await store.close();
        }),
        { numRuns: 20 },
      );
    });

    it('lets a task that is cancelled or out of time be claimed before its turn, so that it ends', async () => {
      const store = await open();
      const key = { concurrencyKey: 'k' };
      const first = await addTask(store, key);
      const cancelled = await addTask(store, key);
      const late = await addTask(store, { ...key, deadlineS: 0.999 });
      const last = await addTask(store, key);
      await store.transaction((tx) => tx.tasks.requestCancel(cancelled, 1500));
      const claimed = new Set<string>();
      for (let n = 0; n < 3; n += 1) claimed.add((await claim(store)).task);
      expect(claimed).toEqual(new Set([first, cancelled, late]));
      expect(await store.tasks.claimNext({ owner: 'x', leaseMs: 1, now: 2000 })).toBeUndefined();
      expect(await store.tasks.blockers(await store.tasks.get(last))).toEqual([first, cancelled, late]);
    });

    it('records the start of a task whose cancel came between its claim and its start', async () => {
      const store = await open();
      const id = await addTask(store);
      const fence = await claim(store);
      await store.transaction((tx) => tx.tasks.requestCancel(id, 2100));
      await store.transaction((tx) => tx.tasks.markRunning(fence, 2200));
      expect(await store.tasks.get(id)).toMatchObject({ state: 'cancelling', startedAt: 2200 });
      await store.transaction((tx) => tx.tasks.markRunning(fence, 2300));
      expect(await store.tasks.get(id)).toMatchObject({ startedAt: 2200 });
    });

    it('keeps the target of a ticket apart from its executor', async () => {
      const store = await open();
      await addTask(store);
      const fence = await claim(store);
      const row = { step: 0, action: 'script', attempt: 1, createdAt: 2000, executor: 'worker-1' };
      const [one, two] = [newId(), newId()];
      await store.transaction(async (tx) => {
        const tickets = [
          { ...row, id: one, target: 'm-1' },
          { ...row, id: two, target: 'm-2' },
        ];
        await tx.tickets.insert(fence, tickets);
        await tx.logLines.append(fence, two, 1, lines(1, 1));
        await tx.tickets.updateFenced(fence, two, { state: 'succeeded', startedAt: 2000, endedAt: 3000 });
      });
      expect(await store.tickets.get(two)).toMatchObject({ target: 'm-2', executor: 'worker-1' });
      // Readers see its target; its end is reported to its executor.
      const stream = await store.taskEvents.stream(fence.task, 0, 10);
      expect(stream.filter(({ kind }) => kind === 'log')).toMatchObject([{ machine: 'm-2', line: 1 }]);
      expect(stream.at(-1)).toMatchObject({ kind: 'state', machine: 'm-2', text: 'succeeded' });
      const page = { afterExecutor: 'worker-0', executors: 1, perExecutor: 1 };
      expect((await store.tickets.uncompleted(0, page)).map(({ id }) => id)).toEqual([two]);
      const again = store.transaction((tx) => tx.tickets.insert(fence, [{ ...row, id: newId(), target: 'm-1' }]));
      await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    });

    it('pages through a list without loss or repetition', async () => {
      const store = await open();
      const ids = [];
      for (let i = 0; i < 7; i += 1) ids.push(await addTask(store, { createdAt: 100 + (i >> 1) }));
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.tasks.list({}, { limit: 3, cursor });
        seen.push(...page.items.map((task) => task.id));
        cursor = page.next;
      } while (cursor !== undefined);
      expect(seen.toSorted()).toEqual(ids.toSorted());
      await expect(store.tasks.list({}, { limit: 3, cursor: 'bm9uc2Vuc2U' })).rejects.toMatchObject({
        code: 'INVALID_FIELD',
        field: 'cursor',
      });
    });
  });

  describe(`logs on ${dialect}`, () => {
    it('are lines 1..N, each once, however batches overlap, repeat and restart', async () => {
      const store = await open();
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(fc.nat(12), fc.nat(9)), { maxLength: 12 }), async (sends) => {
          const { fence, ticket } = await addTicket(store);
          let stored = 0;
          for (const [back, count] of sends) {
            const first = Math.max(1, stored + 1 - back);
            const last = first + count - 1;
            const answer = await store.transaction((tx) =>
              tx.logLines.append(fence, ticket, first, lines(first, last)),
            );
            stored = Math.max(stored, last);
            expect(answer).toBe(stored);
          }
          const log = await store.logLines.read(ticket, 0, 1000);
          expect(log.map((line) => [line.line, line.text])).toEqual(
            lines(1, stored).map((line, index) => [index + 1, line.text]),
          );
          await store.transaction((tx) => tx.tasks.end(fence, { state: 'succeeded', now: 3000 }));
        }),
        { numRuns: 25 },
      );
    });

    it('reject a batch that leaves a gap, and store nothing of it', async () => {
      const store = await open();
      const { fence, ticket } = await addTicket(store);
      await store.transaction((tx) => tx.logLines.append(fence, ticket, 1, lines(1, 2)));
      await expect(store.transaction((tx) => tx.logLines.append(fence, ticket, 4, lines(4, 5)))).rejects.toMatchObject({
        code: 'LOG_GAP',
      });
      expect(await store.logLines.read(ticket, 0, 10)).toHaveLength(2);
      expect(await store.tickets.get(ticket)).toMatchObject({ storedLine: 2 });
    });

    it('take a batch of 5,000 lines', async () => {
      const store = await open();
      const { fence, ticket } = await addTicket(store);
      expect(await store.transaction((tx) => tx.logLines.append(fence, ticket, 1, lines(1, 5000)))).toBe(5000);
    });

    it('share one rising sequence with messages and states, which a reader resumes from anywhere', async () => {
      const store = await open();
      const { fence, ticket } = await addTicket(store);
      await store.transaction((tx) => tx.tasks.markRunning(fence, 2100));
      await store.transaction((tx) => tx.logLines.append(fence, ticket, 1, lines(1, 3)));
      await store.transaction((tx) =>
        tx.taskEvents.append(fence.task, { at: 3100, text: 'waiting', machine: 'm-1' }, fence.epoch),
      );
      await store.transaction((tx) => tx.logLines.append(fence, ticket, 3, lines(3, 4)));
      await store.transaction((tx) => tx.tickets.updateFenced(fence, ticket, { state: 'succeeded', exitCode: 0 }));
      await store.transaction((tx) => tx.tasks.end(fence, { state: 'succeeded', now: 3200 }));
      const whole = await store.taskEvents.stream(fence.task, 0, 100);
      expect(whole.map((entry) => entry.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(whole.map((entry) => entry.text)).toEqual([
        'queued',
        'running',
        'line 1',
        'line 2',
        'line 3',
        'waiting',
        'line 4',
        'succeeded',
        'succeeded',
      ]);
      for (let after = 0; after <= 9; after += 1) {
        const pieces = [];
        for (let at = after; ;) {
          const piece = await store.taskEvents.stream(fence.task, at, 2);
          if (piece.length === 0) break;
          pieces.push(...piece);
          at = piece.at(-1)!.seq;
        }
        expect(pieces).toEqual(whole.slice(after));
      }
    });
  });

  describe(`events and denials on ${dialect}`, () => {
    const deleted = (subject: string) => ({ actor: 'a', type: 'site.deleted' as const, subject, data: {} });
    const denied = (subject: string) =>
      ({ actor: 'a', type: 'download.denied', subject, data: { code: 'FORBIDDEN' } }) as const;

    it('are listed separately, by type, by subject and after a number', async () => {
      const store = await open();
      for (const subject of ['eu', 'us', 'eu']) {
        await store.transaction((tx) => tx.events.append(deleted(subject)));
        await store.denials.record(subject, denied(subject));
      }
      for (const list of [store.events, store.denials]) {
        const { items, next } = await list.list({ limit: 2 });
        expect(items.map(({ seq, subject }) => [seq, subject])).toEqual([
          [1, 'eu'],
          [2, 'us'],
        ]);
        expect((await list.list({ limit: 2, after: Number(next) })).items.map(({ seq }) => seq)).toEqual([3]);
        expect((await list.list({ limit: 9, subject: 'eu' })).items.map(({ seq }) => seq)).toEqual([1, 3]);
        expect((await list.list({ limit: 9, type: 'site.created' })).items).toEqual([]);
      }
      expect((await store.denials.list({ limit: 1 })).items).toMatchObject([{ subjectKind: 'blob' }]);
    });

    it('are written in the transaction of the change, or not at all', async () => {
      const store = await open();
      await expect(store.events.append(deleted('eu'))).rejects.toMatchObject({ code: 'INTERNAL' });
      expect(await store.events.newest()).toBe(0);
    });

    it('notify of events after their commit, and of nothing else', async () => {
      const store = await open();
      let commits = 0;
      const stop = store.onEvents(() => (commits += 1));
      await store.transaction((tx) => tx.settings.set('a', '1'));
      await store.transaction((tx) => tx.events.append(deleted('eu')));
      stop();
      await store.transaction((tx) => tx.events.append(deleted('us')));
      expect(commits).toBe(1);
    });

    it('mark the last denial that is recorded within a minute', async () => {
      const store = await open();
      const recorded: boolean[] = [];
      for (let n = 0; n < 31; n += 1) recorded.push(await store.denials.record('mallory', denied('eu')));
      expect(recorded.filter(Boolean)).toHaveLength(30);
      const { items } = await store.denials.list({ limit: 100 });
      expect(items.filter(({ data }) => data['moreNotRecorded'] === true).map(({ seq }) => seq)).toEqual([30]);
    });

    it('keep an outage until it is over', async () => {
      const store = await open();
      await store.outages.insert({ subject: 'eu>web-1', since: 5 });
      await expect(store.outages.insert({ subject: 'eu>web-1', since: 6 })).rejects.toThrow();
      expect(await store.outages.all()).toEqual([{ subject: 'eu>web-1', since: 5 }]);
      await store.outages.delete('eu>web-1');
      expect(await store.outages.all()).toEqual([]);
    });

    it('let one reader advance a subscription', async () => {
      const store = await open();
      await store.subscriptions.add({ name: 'one', position: 0 });
      await store.subscriptions.add({ name: 'one', position: 9 });
      const move = (from: number, to: number) => store.transaction((tx) => tx.subscriptions.move('one', { from, to }));
      await move(0, 3);
      await expect(move(0, 4)).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
      expect(await store.subscriptions.position('one')).toBe(3);
    });
  });

  describe(`transactions on ${dialect}`, () => {
    it('leave nothing behind when they fail', async () => {
      const store = await open();
      const failing = store.transaction(async (tx) => {
        await tx.sites.insert({ id: 'eu', name: 'EU', description: '', createdAt: 1 });
        await tx.events.append({ actor: 'a', type: 'site.deleted', subject: 'eu', data: {} });
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await store.sites.find('eu')).toBeUndefined();
      expect((await store.events.list({ limit: 10 })).items).toEqual([]);
    });

    it('are rejected inside one another, instead of waiting for ever', async () => {
      const store = await open();
      await expect(store.transaction(() => store.transaction(() => Promise.resolve()))).rejects.toMatchObject({
        code: 'INTERNAL',
      });
      await expect(store.transaction(() => store.sites.find('eu'))).rejects.toMatchObject({ code: 'INTERNAL' });
      await expect(store.transaction((tx) => tx.sites.find('eu'))).resolves.toBeUndefined();
    });

    it('notify of their commit, and of nothing else', async () => {
      const store = await open();
      let commits = 0;
      const stop = store.onCommit(() => (commits += 1));
      await store.transaction((tx) => tx.settings.set('a', '1'));
      await store.transaction(() => Promise.reject(new Error('no'))).catch(() => undefined);
      stop();
      await store.transaction((tx) => tx.settings.set('a', '2'));
      expect(commits).toBe(1);
      expect(await store.settings.get('a')).toBe('2');
    });

    it('report which streams have grown', async () => {
      const store = await open();
      const { fence, ticket } = await addTicket(store);
      const grown: string[][] = [];
      const stop = store.onCommit((tasks) => grown.push([...tasks]));
      await store.transaction((tx) => tx.settings.set('a', '1'));
      await store.transaction((tx) => tx.logLines.append(fence, ticket, 1, lines(1, 3)));
      await store
        .transaction(async (tx) => {
          await tx.taskEvents.append(fence.task, { at: 3100, text: 'never' });
          throw new Error('no');
        })
        .catch(() => undefined);
      await store.transaction((tx) => tx.tasks.end(fence, { state: 'failed', now: 3200 }));
      stop();
      expect(grown).toEqual([[], [fence.task], [fence.task]]);
    });
  });
}

/** Everything a stale owner could have changed. */
async function snapshot(store: Store, task: string): Promise<unknown> {
  const tickets = await store.tickets.byTask(task);
  const logs = await Promise.all(tickets.map((ticket) => store.logLines.read(ticket.id, 0, 1000)));
  return { task: await store.tasks.get(task), tickets, logs, stream: await store.taskEvents.stream(task, 0, 1000) };
}
