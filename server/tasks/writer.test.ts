import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { tempDir } from '../../test/support/temp.ts';
import type { NewEvent } from '../store/events/events.ts';
import { openStore } from '../store/store.ts';
import { createWriter } from './writer.ts';

async function open() {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  let commits = 0;
  store.onCommit(() => {
    commits += 1;
  });
  return { store, writer: createWriter(store), commits: () => commits };
}

const event = (subject: string): NewEvent => ({ actor: 'system', type: 'site.deleted', subject, data: {} });

it('commits what arrives together in one transaction', async () => {
  const { store, writer, commits } = await open();
  await Promise.all(Array.from({ length: 50 }, (_, n) => writer.write((tx) => tx.events.append(event(`e${n}`)))));
  expect(commits()).toBe(1);
  expect((await store.events.list({ limit: 100 })).items).toHaveLength(50);
});

it('rejects only the write that fails; the others are committed, once each', async () => {
  const { store, writer } = await open();
  const results = await Promise.allSettled(
    Array.from({ length: 5 }, (_, n) =>
      writer.write(async (tx) => {
        await tx.events.append(event(`e${n}`));
        if (n === 2) throw new Error('no');
        return n;
      }),
    ),
  );
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  const { items } = await store.events.list({ limit: 100 });
  expect(items.map(({ subject }) => subject)).toEqual(['e0', 'e1', 'e3', 'e4']);
});

it('resolves only after the commit', async () => {
  const { store, writer } = await open();
  await writer.write((tx) => tx.events.append(event('one')));
  expect((await store.events.list({ limit: 1 })).items).toHaveLength(1);
  await writer.idle();
  expect(writer.busy).toBe(false);
});
