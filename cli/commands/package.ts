// `isthmus package …`: the built-in feed.
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createHash } from 'node:crypto';
import type { Command } from 'commander';
import type { Deletion } from '../../contract/deletions.ts';
import {
  isArchive,
  PACKAGE_FORMATS,
  type PackageFormat,
  type PackageSummary,
  type PackageVersion,
  type PushedPackage,
} from '../../contract/packages.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { examples, removeOptions, type Cli, type RemoveOptions } from '../cli.ts';
import { path, type ApiClient } from '../client/client.ts';
import { renderTable, type Cell } from '../render/table.ts';
import { count } from '../values.ts';
import { addPackageSourceCommands } from './package-source.ts';

/** By the end of its name; what has none of these is a file like others. */
function formatOf(file: string): PackageFormat {
  const name = file.toLowerCase();
  return PACKAGE_FORMATS.find((format) => name.endsWith(`.${format}`)) ?? (name.endsWith('.tgz') ? 'tar.gz' : 'file');
}

/** Streams a file to the feed. `existed`: this version was there already, with the same bytes. */
export async function pushPackage(
  client: ApiClient,
  file: string,
  id: string,
  version: string,
): Promise<PushedPackage & { readonly existed: boolean }> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new IsthmusError('FILE_UNUSABLE', `cannot read ${file} (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    });
  });
  if (!found.isFile()) throw new IsthmusError('FILE_UNUSABLE', `${file} is not a file`);
  const format = formatOf(file);
  const { status, body } = await client.request<PushedPackage>('POST', 'packages', {
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(found.size),
      'x-package-id': id,
      'x-package-version': version,
    },
    query: isArchive(format) ? { format } : { format, fileName: basename(file) },
    body: createReadStream(file),
  });
  return { ...body, existed: status === 200 };
}

/** Fetches a version to a file, by default one that is named like it. */
async function download(
  client: ApiClient,
  id: string,
  version: string,
  to: string | undefined,
): Promise<PackageVersion & { readonly file: string }> {
  const wanted = await client.get<PackageVersion>(path('packages', id, 'versions', version));
  const file = to ?? basename(wanted.fileName ?? `${wanted.id}-${wanted.version}.${wanted.format}`);
  const body = await client.open('GET', path('packages', id, 'versions', version, 'content'), {
    headers: { accept: 'application/octet-stream' },
  });
  const hash = createHash('sha256');
  body.on('data', (chunk: Buffer) => hash.update(chunk));
  const partial = `${file}.partial`;
  await pipeline(body, createWriteStream(partial));
  const digest = hash.digest('hex');
  if (digest !== wanted.sha256) {
    await rm(partial, { force: true });
    throw new IsthmusError(
      'PACKAGE_HASH_MISMATCH',
      `${id} ${version} arrived with SHA-256 ${digest}, not ${wanted.sha256}`,
    );
  }
  await rename(partial, file);
  return { ...wanted, file };
}

/** A package in a list; the size is that of all its versions. */
function summaryRow({ id, version, versions, totalBytes, usedBy }: PackageSummary): Cell[] {
  const users = usedBy.map(({ project, releases }) => `${project} (${releases})`);
  return [id, version, versions, bytes(totalBytes), users];
}

/** Adds `package`. */
export function addPackageCommands(program: Command, cli: Cli): void {
  const group = program.command('package').description('packages of the built-in feed');
  examples(group, 'isthmus package push web-1.2.0.tar.gz web 1.2.0', 'isthmus package list');

  const push = group
    .command('push <file> <id> <version>')
    .description('add a version; a version never changes once it is there');
  examples(push, 'isthmus package push web-1.2.0.tar.gz web 1.2.0').action(
    async (file: string, id: string, version: string) => {
      const result = await pushPackage(await cli.client(), file, id, version);
      const verb = result.existed ? 'was there already' : 'pushed';
      cli.show(
        result,
        () => `${result.id} ${result.version} ${verb}: ${bytes(result.sizeBytes)}, SHA-256 ${result.sha256}`,
      );
    },
  );

  const list = group.command('list [id]').description('list packages, or the versions of one');
  examples(list, 'isthmus package list', 'isthmus package list web').action(async (id: string | undefined) => {
    const client = await cli.client();
    if (id === undefined) {
      const items = await client.list<PackageSummary>('packages');
      cli.show(items, () => renderTable(['package', 'latest', 'versions', 'size', 'used by'], items.map(summaryRow)));
      return;
    }
    const items = await client.list<PackageVersion>(path('packages', id, 'versions'));
    const rows = items.map((each) => [each.id, each.version, each.format, bytes(each.sizeBytes), each.sha256]);
    cli.show(items, () => renderTable(['package', 'version', 'format', 'size', 'sha-256'], rows));
  });

  addPackageSourceCommands(group, cli);

  const remove = removeOptions(
    group.command('delete <id> <version>').description('delete a version that no release uses'),
  );
  examples(remove, 'isthmus package delete web 1.0.0 --dry-run', 'isthmus package delete web 1.0.0 --yes').action(
    async (id: string, version: string, options: RemoveOptions) => {
      const deleter = (client: ApiClient) => client.deleter(path('packages', id, 'versions', version));
      await cli.removeListed(deleter, `Delete ${id} ${version}?`, options);
    },
  );

  const prune = removeOptions(
    group
      .command('prune')
      .description('delete old versions of all packages; what is in use, or was pushed in the last 7 days, stays')
      .requiredOption('--keep <n>', 'how many versions of each package stay, the highest', count),
  );
  examples(prune, 'isthmus package prune --keep 10 --dry-run', 'isthmus package prune --keep 10 --yes').action(
    async ({ keep, ...options }: RemoveOptions & { keep: number }) => {
      const pruner = (client: ApiClient) =>
        Promise.resolve(async (dryRun: boolean) => {
          const request = { keepVersions: keep, dryRun };
          return (await client.request<Deletion>('POST', 'packages/prune', { json: request })).body;
        });
      await cli.removeListed(pruner, `Delete them?`, options);
    },
  );

  const get = group
    .command('download <id> <version>')
    .description('fetch a version and check its digest')
    .option('--to <file>', 'the file to write (default: <id>-<version>.<format>)');
  examples(get, 'isthmus package download web 1.2.0 --to web.tar.gz').action(
    async (id: string, version: string, options: { to?: string }) => {
      const fetched = await download(await cli.client(), id, version, options.to);
      cli.show(fetched, () => `${fetched.file}: ${bytes(fetched.sizeBytes)}, digest verified`);
    },
  );
}
