// A backup holds a server's whole state, works while the server runs, and is restored completely or not at all.
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import fc from 'fast-check';
import { openAuthority } from '../../certs/authority.ts';
import { IdentityStore } from '../../certs/identity.ts';
import { lockDataDir } from '../../lib/files/data-lock.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openMasterKey } from '../../lib/secrets/seal.ts';
import { decryptStream, encryptStream } from '../../server/operations/backup-cipher.ts';
import { backup, restore } from '../../server/operations/backup.ts';
import { startAdminSocket } from '../../server/operations/admin-socket.ts';
import { adminRequests } from '../../server/operations/local-requests.ts';
import { initialise } from '../../server/operations/initialise.ts';
import { openStore } from '../../server/store/store.ts';
import { tempDir } from '../support/temp.ts';

const passphrase = 'correct horse battery staple';

/** An initialised server with one blob and one site; a passphrase file; where the backup goes. */
async function makeServer() {
  const folder = await tempDir();
  const dataDir = join(folder, 'server');
  const made = await initialise({ dataDir, meshListen: '127.0.0.1:0', apiListen: '127.0.0.1:0' });
  const bytes = randomBytes(300_000);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const blobFolder = join('packages', 'blobs', sha256.slice(0, 2));
  await mkdir(join(dataDir, blobFolder), { recursive: true });
  await writeFile(join(dataDir, blobFolder, sha256), bytes);
  const store = await openStore({ dataDir, log: silentLogger() });
  await store.sites.insert({ id: 'eu', name: 'EU', description: '', createdAt: 1 });
  await store.close();
  const passphraseFile = join(folder, 'passphrase');
  await writeFile(passphraseFile, `${passphrase}\n`);
  return {
    folder,
    dataDir,
    made,
    blob: join(blobFolder, sha256),
    bytes,
    passphraseFile,
    file: join(folder, 'b.backup'),
  };
}

describe('initialising', () => {
  it('creates a complete server, and fails on a folder that is not empty', async () => {
    const { dataDir, made } = await makeServer();
    const sealer = openMasterKey({ dataDir });
    expect(openAuthority(dataDir, sealer).meshId).toBe(made.meshId);
    expect((await IdentityStore.open(dataDir)).peer()).toMatchObject({ node: 'server-1', role: 'server' });
    for (const secret of ['master.key', 'admin.key']) {
      expect((await stat(join(dataDir, secret))).mode & 0o777).toBe(0o600);
    }
    const before = await readFile(join(dataDir, 'master.key'), 'utf8');
    await expect(initialise({ dataDir, meshListen: 'a:1', apiListen: 'a:2' })).rejects.toMatchObject({
      code: 'ALREADY_INITIALISED',
    });
    expect(await readFile(join(dataDir, 'master.key'), 'utf8')).toBe(before);
    expect((await readdir(join(dataDir, '..'))).toSorted()).toEqual(['passphrase', 'server']);
  });

  it('by four at once succeeds for one', async () => {
    const dataDir = join(await tempDir(), 'server');
    const options = { dataDir, meshListen: '127.0.0.1:0', apiListen: '127.0.0.1:0' };
    const results = await Promise.allSettled(Array.from({ length: 4 }, () => initialise(options)));
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    expect(openAuthority(dataDir, openMasterKey({ dataDir })).meshId).toBe(won[0]?.value.meshId);
    expect(await readdir(join(dataDir, '..'))).toEqual(['server']);
  });

  it.each([['Server'], ['server'], ['']])('rejects the node id "%s"', async (node) => {
    const dataDir = join(await tempDir(), 'server');
    await expect(initialise({ dataDir, node, meshListen: 'a:1', apiListen: 'a:2' })).rejects.toMatchObject({
      code: 'INVALID_FIELD',
      field: 'node',
    });
    expect(await readdir(join(dataDir, '..'))).toEqual([]);
  });
});

describe('a backup', () => {
  it('of a stopped server restores to the same server', async () => {
    const { folder, dataDir, made, blob, bytes, passphraseFile, file } = await makeServer();
    await backup({ dataDir, file, passphraseFile });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readdir(dataDir)).filter((name) => name.startsWith('backup-'))).toEqual([]);
    const before = await readFile(file);
    await expect(backup({ dataDir, file, passphraseFile })).rejects.toMatchObject({ code: 'FILE_UNUSABLE' });
    expect(await readFile(file)).toEqual(before);
    const copy = join(folder, 'restored');
    await restore({ dataDir: copy, file, passphraseFile });
    expect((await stat(join(copy, 'authority'))).mode & 0o777).toBe(0o700);
    const sealer = openMasterKey({ dataDir: copy });
    expect(openAuthority(copy, sealer).certificatePem).toBe(made.authorityPem);
    expect((await IdentityStore.open(copy)).current()).toEqual((await IdentityStore.open(dataDir)).current());
    expect(await readFile(join(copy, blob))).toEqual(bytes);
    const store = await openStore({ dataDir: copy, log: silentLogger() });
    onTestFinished(() => store.close());
    expect(await store.sites.get('eu')).toMatchObject({ name: 'EU' });
    expect((await readdir(copy)).toSorted()).toEqual(
      [
        'admin.key',
        'authority',
        'config.yaml',
        'identity',
        'isthmus.db',
        'isthmus.db-wal',
        'master.check',
        'master.key',
        'packages',
      ].toSorted(),
    );
  });

  it('of a running server, in the middle of writes, is consistent', async () => {
    const { folder, dataDir, passphraseFile, file } = await makeServer();
    const lock = lockDataDir(dataDir);
    const store = await openStore({ dataDir, log: silentLogger() });
    const stop = await startAdminSocket(dataDir, adminRequests(dataDir, store), silentLogger());
    onTestFinished(async () => {
      await stop();
      await store.close();
      lock.unlock();
    });
    let written = 0;
    let done = false;
    const writing = (async () => {
      while (!done) {
        written += 1;
        await store.transaction(async (tx) => {
          await tx.settings.set('a', String(written));
          await tx.settings.set('b', String(written));
        });
        await new Promise(setImmediate);
      }
    })();
    await backup({ dataDir, file, passphraseFile });
    done = true;
    await writing;
    const copy = join(folder, 'restored');
    await restore({ dataDir: copy, file, passphraseFile });
    const restored = await openStore({ dataDir: copy, log: silentLogger() });
    onTestFinished(() => restored.close());
    const [a, b] = [await restored.settings.get('a'), await restored.settings.get('b')];
    expect(a).toBe(b);
    expect(Number(a)).toBeGreaterThan(0);
  });

  it('is not restored over a non-empty folder, with a wrong passphrase, truncated, or changed by a byte', async () => {
    const { folder, dataDir, passphraseFile, file } = await makeServer();
    await backup({ dataDir, file, passphraseFile });
    await expect(restore({ dataDir, file, passphraseFile })).rejects.toMatchObject({ code: 'ALREADY_INITIALISED' });
    const whole = await readFile(file);
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, 'another passphrase');
    const copy = join(folder, 'restored');
    const attempts: [Buffer, string][] = [
      [whole, wrong],
      [whole.subarray(0, whole.length - 1), passphraseFile],
      [whole.subarray(0, 70_000), passphraseFile],
      [whole.subarray(0, 5), passphraseFile],
      [Buffer.concat([whole, Buffer.from('x')]), passphraseFile],
      [flip(whole, whole.length >> 1), passphraseFile],
      [flip(whole, 20), passphraseFile],
      [Buffer.from('not a backup'), passphraseFile],
    ];
    for (const [bytes, phrase] of attempts) {
      await writeFile(file, bytes);
      await expect(restore({ dataDir: copy, file, passphraseFile: phrase })).rejects.toMatchObject({
        code: 'BACKUP_INVALID',
      });
      expect((await readdir(folder)).toSorted()).toEqual(['b.backup', 'passphrase', 'server', 'wrong']);
    }
  });

  it('takes the passphrase as bytes: two that differ in one that is not UTF-8 are two', async () => {
    const { folder, dataDir, passphraseFile, file } = await makeServer();
    const of = (byte: number) => Buffer.concat([Buffer.from(passphrase), Buffer.from([byte, 0x0a])]);
    await writeFile(passphraseFile, of(0xe9));
    await backup({ dataDir, file, passphraseFile });
    const copy = join(folder, 'restored');
    await writeFile(passphraseFile, of(0xe8));
    await expect(restore({ dataDir: copy, file, passphraseFile })).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
    // Editors on Windows add a mark and a carriage return, which are not part of it.
    const windows = Buffer.concat([Buffer.from('\ufeff'), of(0xe9).subarray(0, -1), Buffer.from('\r\n')]);
    await writeFile(passphraseFile, windows);
    await restore({ dataDir: copy, file, passphraseFile });
  });

  it.each(['settings', 'environment'])('holds a master key that is elsewhere (%s)', async (where) => {
    const { folder, dataDir, made, passphraseFile, file } = await makeServer();
    const keyFile = join(folder, 'elsewhere.key');
    await rename(join(dataDir, 'master.key'), keyFile);
    const settings = join(dataDir, 'config.yaml');
    if (where === 'settings') await appendFile(settings, `masterKeyFile: ${keyFile}\n`);
    const env = (name: string) => (where === 'environment' && name === 'ISTHMUS_MASTER_KEY_FILE' ? keyFile : undefined);
    await backup({ dataDir, file, passphraseFile, env });
    const copy = join(folder, 'restored');
    await restore({ dataDir: copy, file, passphraseFile });
    expect((await stat(join(copy, 'master.key'))).mode & 0o777).toBe(0o600);
    expect(openAuthority(copy, openMasterKey({ dataDir: copy })).certificatePem).toBe(made.authorityPem);
    expect(await readFile(join(copy, 'config.yaml'), 'utf8')).not.toContain('masterKeyFile');
    expect(await readFile(join(copy, 'config.yaml'), 'utf8')).toContain('127.0.0.1:0');
    for (const [spoil, code] of [
      [() => writeFile(keyFile, Buffer.alloc(32, 7).toString('base64')), 'MASTER_KEY_WRONG'],
      [() => rm(keyFile), 'MASTER_KEY_MISSING'],
      [() => mkdir(keyFile), 'MASTER_KEY_MISSING'],
    ] as const) {
      await spoil();
      const again = join(folder, 'again');
      await expect(backup({ dataDir, file: again, passphraseFile, env })).rejects.toMatchObject({ code });
      expect(await readdir(folder)).not.toContain('again');
    }
  });

  it('removes the folders of killed backups, and none of a running one', async () => {
    const { folder, dataDir, passphraseFile, file } = await makeServer();
    const [dead, live] = ['backup-0123456789ab', 'backup-ba9876543210'];
    for (const name of [dead, live]) await mkdir(join(dataDir, name));
    for (const name of [dead, live]) await writeFile(join(dataDir, `${name}.db`), 'secret');
    const lock = lockDataDir(join(dataDir, live));
    onTestFinished(() => {
      lock.unlock();
    });
    await mkdir(join(folder, '.restored.0123456789ab'));
    await backup({ dataDir, file, passphraseFile });
    const left = (await readdir(dataDir)).filter((name) => name.startsWith('backup-'));
    expect(left.toSorted()).toEqual([live, `${live}.db`]);
    await restore({ dataDir: join(folder, 'restored'), file, passphraseFile });
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('reveals nothing of its content', async () => {
    const { dataDir, made, passphraseFile, file } = await makeServer();
    await backup({ dataDir, file, passphraseFile });
    const bytes = await readFile(file);
    for (const secret of [
      await readFile(join(dataDir, 'master.key')),
      Buffer.from(made.adminKey),
      Buffer.from('BEGIN'),
    ]) {
      expect(bytes.includes(secret)).toBe(false);
    }
  });

  it('needs a passphrase of 12 characters, and a server', async () => {
    const { folder, dataDir, passphraseFile, file } = await makeServer();
    const short = join(folder, 'short');
    await writeFile(short, 'hunter2\n');
    await expect(backup({ dataDir, file, passphraseFile: short })).rejects.toMatchObject({ code: 'INVALID_FIELD' });
    await expect(backup({ dataDir: folder, file, passphraseFile })).rejects.toMatchObject({ code: 'NOT_INITIALISED' });
    expect(await readdir(folder)).not.toContain('b.backup');
  });
});

describe('the cipher of backups', () => {
  it('decrypts to the same bytes, however they are chunked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(150_000), { maxLength: 6 }), async (sizes) => {
        const chunks = sizes.map((size) => randomBytes(size));
        const sealed = await buffer(encryptStream(Buffer.from(passphrase))(Readable.from(chunks)));
        const pieces = Readable.from(cut(sealed, 7777));
        expect(await buffer(decryptStream(Buffer.from(passphrase))(pieces))).toEqual(Buffer.concat(chunks));
      }),
      { numRuns: 4 },
    );
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = changed[at]! ^ 1;
  return changed;
}

function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
