// The store over node:sqlite: the common behaviour, and what is specific to it (one owner of a folder, migrations).
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kysely, sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { DENIALS_KEPT } from '../../server/store/events/denials.ts';
import { migrate, MIGRATIONS } from '../../server/store/migrations/migrate.ts';
import type { Schema } from '../../server/store/schema.ts';
import { nodeSqliteDialect } from '../../server/store/sqlite/dialect.ts';
import { createStore, openStore, type Store } from '../../server/store/store.ts';
import { tempDir } from '../support/temp.ts';
import { storeBehaviour } from './behaviour.ts';
import { resourceBehaviour } from './resource-behaviour.ts';

async function openAt(dataDir: string): Promise<Store> {
  const store = await openStore({ dataDir, log: silentLogger() });
  onTestFinished(() => store.close());
  return store;
}

storeBehaviour('node:sqlite', async () => openAt(await tempDir()));
resourceBehaviour('node:sqlite', async () => openAt(await tempDir()));

describe('a database', () => {
  it('is open once: the second open is denied, and changes nothing', async () => {
    const dataDir = await tempDir();
    const first = await openAt(dataDir);
    await expect(openAt(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    await first.transaction((tx) => tx.settings.set('still', 'mine'));
    await first.close();
    const second = await openAt(dataDir);
    expect(await second.settings.get('still')).toBe('mine');
  });

  it('opened twenty times at once is open once', async () => {
    const dataDir = await tempDir();
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => openAt(dataDir)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'DATA_DIR_LOCKED' });
    }
  });

  it('of a newer version is rejected and left as it is', async () => {
    const dataDir = await tempDir();
    await (await openAt(dataDir)).close();
    const file = join(dataDir, 'isthmus.db');
    const database = new DatabaseSync(file);
    database.exec(`insert into kysely_migration (name, timestamp) values ('9999-from-the-future', '')`);
    database.close();
    await expect(openAt(dataDir)).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
    await expect(openAt(dataDir)).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
    const after = new DatabaseSync(file);
    onTestFinished(() => {
      after.close();
    });
    expect(after.prepare('select count(*) as n from kysely_migration').get()).toEqual({
      n: Object.keys(MIGRATIONS).length + 1,
    });
  });

  it('with a file that is no database is rejected', async () => {
    const dataDir = await tempDir();
    await writeFile(
      join(dataDir, 'isthmus.db'),
      'this is not a database, and long enough to be looked at as one'.repeat(40),
    );
    await expect(openAt(dataDir)).rejects.toMatchObject({
      code: 'DATA_DIR_UNUSABLE',
      message: expect.stringContaining('not a database') as string,
      remedy: expect.stringContaining('restore') as string,
    });
  });

  it('that does not exist, or is not a folder, is rejected and not created', async () => {
    const folder = await tempDir();
    const file = join(folder, 'file');
    await writeFile(file, '');
    for (const dataDir of [join(folder, 'missing'), file]) {
      await expect(openAt(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
    }
    expect(await readdir(folder)).toEqual(['file']);
  });
});

describe('a copy', () => {
  it('of a store that is being written succeeds every time', async () => {
    const dataDir = await tempDir();
    const store = await openAt(dataDir);
    let copying = true;
    const writing = (async () => {
      for (let round = 0; copying; round += 1) {
        await store.transaction(async (tx) => {
          await tx.settings.set('a', String(round));
          // The transaction stays open over a turn of the event loop, as real ones do.
          await nextTurn();
          await tx.settings.set('b', String(round));
        });
      }
    })();
    for (let copy = 0; copy < 50; copy += 1) await store.copyTo(join(dataDir, `copy-${copy}.db`));
    copying = false;
    await writing;
    const copied = new DatabaseSync(join(dataDir, 'copy-49.db'), { readOnly: true });
    const [a, b] = copied.prepare("SELECT value FROM settings WHERE key IN ('a', 'b') ORDER BY key").all();
    copied.close();
    expect(a).toEqual(b);
  });
});

describe('a full disk', () => {
  it('fails the transaction with its own reason, keeps nothing of it, and recovers when there is room again', async () => {
    const database = new DatabaseSync(':memory:');
    const db = new Kysely<Schema>({ dialect: nodeSqliteDialect(database) });
    await migrate(db);
    const store = createStore(db, { copyTo: () => Promise.resolve() });
    onTestFinished(() => store.close());
    const { page_count: pages } = database.prepare('pragma page_count').get() as { page_count: number };
    database.exec(`pragma max_page_count = ${pages + 2}`);
    const filling = store.transaction(async (tx) => {
      await tx.settings.set('small', 'x');
      await tx.settings.set('large', 'x'.repeat(100_000));
    });
    await expect(filling).rejects.toMatchObject({ errcode: 13 });
    expect(await store.settings.get('small')).toBeUndefined();
    database.exec('pragma max_page_count = 1000000');
    await store.transaction((tx) => tx.settings.set('large', 'x'.repeat(100_000)));
    expect(await store.settings.get('large')).toHaveLength(100_000);
  });
});

describe('denials', () => {
  it('are limited to a number of them, the latest', async () => {
    const database = new DatabaseSync(':memory:');
    const db = new Kysely<Schema>({ dialect: nodeSqliteDialect(database) });
    await migrate(db);
    const store = createStore(db, { copyTo: () => Promise.resolve() });
    onTestFinished(() => store.close());
    const append = (subject: string) =>
      store.denials.append({ actor: 'a', type: 'download.denied', subject, data: { code: 'FORBIDDEN' } });
    for (const subject of ['first', 'second']) await append(subject);
    database.exec(`update sqlite_sequence set seq = ${DENIALS_KEPT} where name = 'denials'`);
    await append('last');
    const { items } = await store.denials.list({ limit: 10 });
    expect(items.map(({ subject }) => subject)).toEqual(['second', 'last']);
  });
});

describe('migrations', () => {
  it('run twice and twenty at once create the schema once', async () => {
    const db = memoryDatabase();
    await Promise.all(Array.from({ length: 20 }, () => migrate(db)));
    await migrate(db);
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
    expect(rows.map((row) => row.name)).toEqual(Object.keys(MIGRATIONS));
  });

  it('that fail leave nothing half applied', async () => {
    const db = memoryDatabase();
    await migrate(db);
    const failing = {
      up: async (tx: Kysely<never>) => {
        await sql`create table half (id text)`.execute(tx);
        throw new Error('power cut');
      },
    };
    await expect(migrate(db, { ...MIGRATIONS, '9998-half': failing })).rejects.toThrow('power cut');
    const tables = await db.introspection.getTables();
    expect(tables.map((table) => table.name)).not.toContain('half');
  });

  it('of a database that has data leave a copy from before, and one only', async () => {
    const dataDir = await tempDir();
    const open = (...added: readonly string[]) => {
      const create = (name: string) => ({
        up: (tx: Kysely<never>) => sql`create table ${sql.id(name)} (id text)`.execute(tx).then(() => undefined),
      });
      const more = Object.fromEntries(added.map((name) => [name, create(name)]));
      return openStore({ dataDir, log: silentLogger(), migrations: { ...MIGRATIONS, ...more } });
    };
    const copies = async () => (await readdir(dataDir)).filter((name) => name.startsWith('isthmus.db.'));
    const first = await open();
    await first.transaction((tx) => tx.settings.set('a', 'before'));
    await first.close();
    expect(await copies()).toEqual([]);
    await (await open('9997-more')).close();
    await (await open('9997-more')).close();
    expect(await copies()).toEqual(['isthmus.db.before-9997-more']);
    expect((await stat(join(dataDir, 'isthmus.db.before-9997-more'))).mode & 0o777).toBe(0o600);
    await (await open('9997-more', '9998-yet-more')).close();
    expect(await copies()).toEqual(['isthmus.db.before-9998-yet-more']);
    await rename(join(dataDir, 'isthmus.db.before-9998-yet-more'), join(dataDir, 'isthmus.db'));
    await expect(open()).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
    const back = await open('9997-more');
    expect(await back.settings.get('a')).toBe('before');
    await back.close();
  });

  it('to packages know which versions the releases from before pin', async () => {
    const db = memoryDatabase();
    await migrate(db, { '0001-start': MIGRATIONS['0001-start']! });
    const pins = [
      { step: 'web', id: 'Site', version: '1.0.0+build' },
      { step: 'again', id: 'Site', version: '1.0.0+build' },
      { step: 'db', id: 'schema', version: '2.0' },
    ];
    await sql`insert into projects (id, name, description, process_json, version, created_at)
      values ('shop', 'shop', '', '[]', 1, 0)`.execute(db);
    for (const [id, packages] of [
      ['with', pins],
      ['without', []],
    ] as const) {
      await sql`insert into releases
        (id, project, version, version_key, notes, process_json, packages_json, variables_json, created_at)
        values (${id}, 'shop', ${id}, ${id}, '', '[]', ${JSON.stringify(packages)}, '[]', 0)`.execute(db);
    }
    for (const [id, version, idKey, versionKey] of [
      ['Site', '1.0.0+build', 'site', '1'],
      ['Site', '1.1.0', 'site', '1.1'],
      ['schema', '2.0', 'schema', '2'],
    ]) {
      await sql`insert into packages (id, id_key, version, version_key, sha256, size_bytes, format, published_at)
        values (${id}, ${idKey}, ${version}, ${versionKey}, 'a', 1, 'tar.gz', 0)`.execute(db);
    }
    await migrate(db);
    const { rows } = await sql`select * from release_packages order by step`.execute(db);
    expect(rows).toEqual([
      { release: 'with', step: 'again', id_key: 'site', version_key: '1' },
      { release: 'with', step: 'db', id_key: 'schema', version_key: '2' },
      { release: 'with', step: 'web', id_key: 'site', version_key: '1' },
    ]);
  });

  it('stay as they were released: a change is a new migration', async () => {
    const db = memoryDatabase();
    await migrate(db);
    const tables = await db.introspection.getTables();
    const columns = tables.flatMap((table) => table.columns.map((column) => `${table.name}.${column.name}`)).toSorted();
    expect(columns).toMatchSnapshot();
  });
});

function memoryDatabase(): Kysely<Schema> {
  const db = new Kysely<Schema>({ dialect: nodeSqliteDialect(new DatabaseSync(':memory:')) });
  onTestFinished(() => db.destroy());
  return db;
}
