// `isthmus package source …`: where machines fetch packages beside mirrors and the server; `isthmus package explain`: where
// one machine does, and why.
import type { Command } from 'commander';
import type { NewPackageSource, PackageSource, SourceExplanation } from '../../contract/package-sources.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { collect } from '../values.ts';

interface CreateOptions {
  readonly url?: string;
  readonly node?: string;
  readonly machine?: string[];
  readonly site?: string[];
  readonly network?: string[];
}

type ExplainedSource = SourceExplanation['sources'][number];

/** Adds `source` and `explain` to the group `package`. */
export function addPackageSourceCommands(packages: Command, cli: Cli): void {
  const group = packages.command('source').description('where machines fetch packages first');
  examples(
    group,
    'isthmus package source list',
    "isthmus package source create s3 --url 'https://s3.example.com/{id}/{sha256}' --site eu",
  );

  examples(group.command('list').description('list package sources'), 'isthmus package source list').action(
    async () => {
      const items = await (await cli.client()).list<PackageSource>('package-sources');
      const rows = items.map((each) => [each.id, from(each), each.machines, each.sites, each.networks]);
      cli.show(items, () => renderTable(['source', 'from', 'machines', 'sites', 'networks'], rows));
    },
  );

  const create = group
    .command('create <id>')
    .description('name a URL, a mirror or the server as the first source of machines, sites or networks')
    .option('--url <template>', 'of each package, with {id}, {version}, {sha256} and {filename}')
    .option('--node <id>', 'a mirror, or server')
    .option('--machine <id>', 'for this machine; repeatable', collect)
    .option('--site <id>', 'for the nodes of this site; repeatable', collect)
    .option('--network <network>', 'for nodes in this network, such as 10.1.0.0/16; repeatable', collect);
  examples(
    create,
    "isthmus package source create s3 --url 'https://s3.example.com/{id}/{version}/{filename}' --network 10.1.0.0/16",
    'isthmus package source create near --node mirror-eu --machine us-1',
  ).action(async (id: string, options: CreateOptions) => {
    const { body } = await (await cli.client()).post<PackageSource>('package-sources', newSource(id, options));
    cli.show(body, () => `package source ${body.id} created`);
  });

  const remove = group.command('delete <id>').description('delete a package source').option('--yes', 'do not ask');
  examples(remove, 'isthmus package source delete s3 --yes').action(async (id: string, options: { yes?: boolean }) => {
    await cli.remove(path('package-sources', id), `Delete the package source ${id}?`, options.yes);
    cli.show({ deleted: id }, () => `package source ${id} deleted`);
  });

  const explain = packages
    .command('explain <machine> <package>')
    .description('say where a machine fetches a package, in which order, and why; PACKAGE@VERSION for one version')
    .option('--project <id>', 'with what its step names')
    .option('--environment <id>', 'where the project is deployed');
  examples(
    explain,
    'isthmus package explain web-1 web',
    'isthmus package explain web-1 web@1.2.0 --project web --environment production',
  ).action(async (machine: string, wanted: string, options: { project?: string; environment?: string }) => {
    const [id = '', version] = wanted.split('@');
    const query = { package: id, version, project: options.project, environment: options.environment };
    const found = await (
      await cli.client()
    ).get<SourceExplanation>(path('machines', machine, 'package-sources'), query);
    const rows = found.sources.map((each, index) => [
      String(index + 1),
      sourceText(each),
      whyText(each),
      stateText(each),
    ]);
    cli.show(found, () =>
      [`${found.package} ${found.version} on ${machine}`, renderTable(['', 'source', 'why', 'state'], rows)].join('\n'),
    );
  });
}

function newSource(id: string, { url, node, machine, site, network }: CreateOptions): NewPackageSource {
  const users = {
    ...(machine === undefined ? {} : { machines: machine }),
    ...(site === undefined ? {} : { sites: site }),
    ...(network === undefined ? {} : { networks: network }),
  };
  if (url !== undefined && node === undefined) return { kind: 'upstream', id, url, ...users };
  if (node !== undefined && url === undefined) return { kind: 'mesh', id, node, ...users };
  throw new IsthmusError('USAGE', 'give --url or --node');
}

function from(source: PackageSource): string {
  return source.kind === 'upstream' ? source.url : source.node;
}

function sourceText({ source, kind, path: relays, url }: ExplainedSource): string {
  if (kind === 'pushed') return `${source}, which pushes`;
  if (kind === 'upstream' || url !== null) return `${source} at ${url}`;
  return relays.length === 0 ? source : `${source} over ${relays.join(', ')}`;
}

const WHY: Readonly<Record<ExplainedSource['why'], string>> = {
  machine: 'named for the machine',
  step: 'named by the step',
  site: 'named for the site',
  mirror: 'mirror of the site',
  network: 'named for the network',
  parent: 'mirror above the site',
  sibling: 'mirror beside the site',
  server: 'the server',
};

function whyText({ why, because, source }: ExplainedSource): string {
  return because === '' || because === source ? WHY[why] : `${WHY[why]} (${because})`;
}

function stateText({ used, demotedAt, demotedCode, bytesPerS }: ExplainedSource): string {
  if (!used) return 'not used: the software of the machine is too old for it';
  const rate = bytesPerS === null ? '' : `, ${bytes(bytesPerS)}/s`;
  if (demotedAt === null) return `healthy${rate}`;
  return `last since ${moment(demotedAt)}: ${demotedCode}${rate}`;
}
