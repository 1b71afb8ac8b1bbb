// A tentacle that masks nothing, and a secret of several lines: what the server stores shows none of it, however the
// lines are batched, even when the server is killed between two batches in the middle of the secret.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createMasterKey } from '../../lib/secrets/seal.ts';
import { createProject, replaceProcess } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { stepHandlers } from '../../server/task-kinds.ts';
import { createVariable } from '../../server/projects/variables.ts';
import { waitFor } from '../support/wait.ts';
import { crashSite, type CrashSite } from './crash-site.ts';

const body = Array.from(
  { length: 12 },
  (_, row) => `${'MIIEvQIBADANBgkqhkiG9w0B'.slice(row)}${row}kQEFAASCBKcwggSjAgEA`,
);
const pem = ['-----BEGIN PRIVATE KEY-----', ...body, 'q8=', '-----END PRIVATE KEY-----', ''].join('\n');
const printed = {
  'as it is': pem.trimEnd().split('\n'),
  'as wrapped base64': Buffer.from(pem).toString('base64').replaceAll(/.{40}/g, '$&\n').split('\n'),
  'as wrapped hex': Buffer.from(pem).toString('hex').replaceAll(/.{32}/g, '$&\n').split('\n'),
};

/** A deployment whose script waits, with the key as a sensitive variable. */
async function addShop(at: CrashSite): Promise<void> {
  const step = { name: 'hold', kind: 'script', script: { interpreter: 'bash', body: 'hold' } };
  await at.inspect((store) =>
    store.transaction(async (tx) => {
      await createProject(tx, stepHandlers(), { id: 'shop' }, 'key-1');
      await replaceProcess(tx, stepHandlers(), { id: 'shop', version: 1 }, [step], 'key-1');
      const sealer = createMasterKey({ dataDir: at.dataDir });
      await createVariable(tx, sealer, 'shop', { name: 'Key', value: pem, sensitive: true }, 'key-1');
      await createRelease(tx, stepHandlers(), 'shop', { version: '1.0.0' }, 'key-1');
    }),
  );
}

it.each(Object.entries(printed))('shows nothing of a key printed %s, killed in the middle of it', async (_, lines) => {
  const at = await crashSite();
  await addShop(at);
  at.fake.batchLines = 2;
  const first = await at.server({ deploy: 'shop', engine: true });
  await waitFor(() => at.fake.scripts.size === 1);
  const { fake } = at;
  const half = Math.floor(lines.length / 2);
  fake.script.print(['before', ...lines.slice(0, half)]);
  await waitFor(() => fake.script.forgotten === half + 1);
  await first.kill();
  fake.script.print([...lines.slice(half), 'after']);
  fake.script.proceed();
  const second = await at.server({ engine: true });
  await second.idle();
  await second.kill();

  await at.inspect(async (store) => {
    expect(await store.tasks.get(first.task)).toMatchObject({ state: 'succeeded', epoch: 2 });
    const texts = (await store.logLines.read(fake.script.ticket, 0, 1_000)).map(({ text }) => text);
    expect(texts).toHaveLength(lines.length + 2);
    expect([texts[0], texts.at(-1)]).toEqual(['before', 'after']);
    // A few characters that no form of the value decides alone, and padding, may be seen.
    for (const text of texts.slice(1, -1)) expect(text.replaceAll('********', '').length, text).toBeLessThan(4);
  });
  // Nor is it anywhere else in what the server keeps.
  for (const name of ['isthmus.db', 'isthmus.db-wal']) {
    const bytes = await readFile(join(at.dataDir, name)).catch(() => Buffer.alloc(0));
    for (const line of lines.filter(({ length }) => length > 8)) expect(bytes.includes(line)).toBe(false);
  }
});
