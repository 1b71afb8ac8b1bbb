// Staging on a machine, from a package that is there already.
import { createHash } from 'node:crypto';
import { chown, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createPackages, type Packages } from '../../tentacle/packages/packages.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz } from './craft.ts';
import { NO_FILE_RULES, NOWHERE_ELSE } from './orders.ts';

const installation = { project: 'shop', environment: 'prod', step: 'web' };
const folderOf = (dataDir: string) => join(dataDir, 'applications', 'shop', 'prod', 'web');

/** The order for a package, whose bytes are put into the cache of a data folder that nobody has open. */
async function cached(
  dataDir: string,
  bytes: Buffer,
  version: string,
  more: Partial<PackagePayload__Output> = {},
): Promise<PackagePayload__Output> {
  const blobs = await BlobStore.open(join(dataDir, 'packages'));
  const writer = await blobs.receive();
  await writer.write(bytes);
  await writer.commit();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    package: { id: 'web', version, sha256, sizeBytes: bytes.length, format: 'tar.gz' },
    ...{ installation, downloadToken: '', variables: { Name: 'Zoë' }, sensitiveNames: [], sources: [] },
    ...NO_FILE_RULES,
    substitute: [{ pattern: '**/*.ini', encoding: 'utf-8' }],
    ...more,
  };
}

async function open(dataDir: string): Promise<Packages> {
  const packages = await createPackages({
    ...{ dataDir, onWrongSource: () => undefined, log: silentLogger(), hasOpenScript: () => false, keptRecent: 9 },
    ...NOWHERE_ELSE,
    connect: () => Promise.reject(new Error('no source is asked')),
  });
  onTestFinished(() => packages.stop());
  return packages;
}

it.skipIf(lacks('linux', 'root'))(
  'unpacks read-only folders as a user like others, substitutes in them, and removes them',
  async () => {
    const dataDir = await tempDir();
    await chown(dataDir, 65_534, 65_534);
    const versions = ['1.0', '2.0', '3.0', '4.0', '5.0'];
    const orders: PackagePayload__Output[] = [];
    process.seteuid!(65_534);
    onTestFinished(() => process.seteuid!(0));
    for (const version of versions) {
      const bytes = tarGz([
        { name: 'version', content: version },
        { name: 'conf/', type: '5', mode: 0o500 },
        { name: 'conf/app.ini', content: 'name=#{Name}', mode: 0o440 },
        { name: 'conf/same.ini', type: '2', linkName: 'app.ini' },
        { name: 'conf/copy.txt', type: '1', linkName: 'conf/app.ini' },
      ]);
      orders.push(await cached(dataDir, bytes, version));
    }
    const packages = await open(dataDir);
    const paths: string[] = [];
    for (const order of orders) {
      const task = newId();
      await packages.stage(order, task);
      await packages.activate(order, task);
      paths.push((await packages.settle(order, task)).releasePath);
    }
    const conf = join(paths.at(-1)!, 'conf');
    expect((await stat(conf)).mode & 0o7777).toBe(0o500);
    expect((await stat(join(conf, 'app.ini'))).mode & 0o7777).toBe(0o440);
    expect(await readFile(join(conf, 'same.ini'), 'utf8')).toBe('name=Zoë');
    // The other name of a file keeps what the file had.
    expect(await readFile(join(conf, 'copy.txt'), 'utf8')).toBe('name=#{Name}');
    expect(await readdir(join(folderOf(dataDir), 'releases'))).not.toContain(basename(paths[0]!));
    expect(await readdir(join(folderOf(dataDir), '.private'))).toEqual([]);
  },
);

it('leaves nothing of an unpacking that was cancelled, and begins anew when it is asked again', async () => {
  const dataDir = await tempDir();
  const many = Array.from({ length: 1000 }, (_, i) => ({ name: `d${i % 20}/f${i}`, content: 'x' }));
  const order = await cached(dataDir, tarGz(many), '1.0');
  const packages = await open(dataDir);
  const task = newId();
  const cancel = new AbortController();
  const staging = packages.stage(order, task, cancel.signal);
  const building = async () => readdir(join(folderOf(dataDir), '.private'), { recursive: true }).catch(() => []);
  await waitFor(async () => (await building()).length > 10, { what: 'the first files' });
  cancel.abort(new IsthmusError('CANCELLED', 'enough'));
  await expect(staging).rejects.toMatchObject({ code: 'CANCELLED', message: 'enough' });
  expect(await building()).toEqual([]);
  expect(await readdir(join(folderOf(dataDir), 'releases'))).toEqual([]);
  expect(await packages.stage(order, task)).toMatchObject({ files: 1000 });
});

it('tells first which files took in a sensitive value, however much else there is to tell', async () => {
  const dataDir = await tempDir();
  const missing = Array.from({ length: 35 }, (_, i) => `#{Missing${i}}`).join('\n');
  const files = [
    { name: 'a.ini', content: missing },
    { name: 'b.ini', content: '#{Secret}' },
  ];
  const more = { variables: { Secret: 'hunter2' }, sensitiveNames: ['Secret'] };
  const order = await cached(dataDir, tarGz(files), '1.0', more);
  const packages = await open(dataDir);
  const { warnings, warningsLeftOut } = await packages.stage(order, newId());
  expect(warnings).toHaveLength(30);
  expect(warnings.slice(0, 2)).toMatchObject([
    { kind: 'sensitive', file: 'b.ini' },
    { kind: 'unresolved', file: 'a.ini', line: 1 },
  ]);
  expect(warningsLeftOut).toBe(6);
});
