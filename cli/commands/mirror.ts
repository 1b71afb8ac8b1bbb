// `isthmus mirror …` beside `mirror start`: the caches of mirrors, as the server finds them.
import type { Command } from 'commander';
import type {
  CachedPackage,
  CollectedCache,
  VerifiedCache,
  Mirror,
  MirrorList,
  NewWarming,
} from '../../contract/mirrors.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { escapeText } from '../render/escape.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { milliseconds, moment } from '../render/units.ts';
import { bytesPerS, collect, duration } from '../values.ts';
import { accepted, withFollow, type FollowOptions } from './task.ts';

function statusText(mirrors: readonly Mirror[]): string {
  const rows = mirrors.map(({ id, site, softwareVersion, status, error }) => {
    if (status === null) return [id, site, softwareVersion, '-', '-', '-', '-', '-', error?.code];
    const { packages, packageBytes, quotaBytes, freeBytes, minFreeBytes, fetching } = status;
    const limit = quotaBytes === null ? 'no limit' : bytes(quotaBytes);
    const free = `${bytes(freeBytes)} (keeps ${bytes(minFreeBytes)})`;
    return [id, site, softwareVersion, packages, bytes(packageBytes), limit, free, fetching, 'up'];
  });
  const headings = ['mirror', 'site', 'version', 'packages', 'bytes', 'quota', 'free', 'fetching', 'state'];
  const failed = mirrors.flatMap(({ id, error }) =>
    error === undefined ? [] : [escapeText(`${id}: ${error.detail} (${error.code}). ${error.remedy}`)],
  );
  return [renderTable(headings, rows), ...(failed.length === 0 ? [] : ['', ...failed])].join('\n');
}

/** All that one mirror says of itself. */
function oneText(mirror: Mirror): string {
  const { status } = mirror;
  if (status === null) return statusText([mirror]);
  const { counters, full, pinned, leased } = status;
  const { evictions } = counters;
  const reasons = [
    `${evictions.quota} for the quota`,
    `${evictions.freeSpace} for free space`,
    `${evictions.write} for a full disk`,
    `${evictions.request} on request`,
  ];
  const record = renderRecord({
    cache: full ? 'full: what has no room is passed on uncached' : 'has room',
    kept: `${pinned} pinned, ${leased} needed by open deployments`,
    hits: counters.hits,
    'shared fetches': counters.sharedFetches,
    fetches: `${counters.fetches}, ${counters.uncached} of them uncached`,
    'bytes in': bytes(counters.bytesIn),
    'bytes out': bytes(counters.bytesOut),
    'bytes saved': bytes(counters.bytesSaved),
    'first byte': milliseconds(counters.firstByteMs),
    evictions: reasons,
    damaged: `${counters.damaged}, ${counters.repaired} of them repaired`,
  });
  return `${statusText([mirror])}\n\n${record}`;
}

/** What bytes are called: the versions that have them, or the beginning of their digest. */
function nameOf({ packages, sha256 }: Pick<CachedPackage, 'packages' | 'sha256'>): string {
  const names = packages.map(({ id, version }) => `${id} ${version}`);
  return names.length > 0 ? names.join(', ') : sha256.slice(0, 12);
}

function addKeeping(group: Command, cli: Cli): void {
  for (const verb of ['pin', 'unpin'] as const) {
    const [does, did] =
      verb === 'pin'
        ? ['keep a version in a cache, once it is there', 'is pinned']
        : ['end a pin; what is live at its sites stays pinned', 'is not pinned any more'];
    const command = group.command(`${verb} <mirror> <package> <version>`).description(does);
    examples(command, `isthmus mirror ${verb} mirror-eu web 1.2.0`).action(
      async (mirror: string, id: string, version: string) => {
        await (await cli.client()).post(path('mirrors', mirror, verb), { package: id, version });
        cli.show({ mirror, package: id, version }, () => escapeText(`${id} ${version} ${did} at ${mirror}`));
      },
    );
  }

  const verify = group
    .command('verify <mirror>')
    .description('digest all that is in its cache; what is damaged is put aside, and never served')
    .option('--repair', 'fetch damaged packages again');
  examples(verify, 'isthmus mirror verify mirror-eu', 'isthmus mirror verify mirror-eu --repair').action(
    async (mirror: string, { repair = false }: { repair?: boolean }) => {
      const { body } = await (await cli.client()).post<VerifiedCache>(path('mirrors', mirror, 'verify'), { repair });
      const { checked, damaged } = body;
      const lines = damaged.map((each) => `${nameOf(each)} was damaged${each.repaired ? ', and is repaired' : ''}`);
      cli.show(body, () =>
        [`${checked} packages digested, ${damaged.length} damaged`, ...lines].map(escapeText).join('\n'),
      );
    },
  );

  const gc = group
    .command('gc <mirror>')
    .description('remove damaged files, interrupted fetches, and packages down to the low-water mark')
    .option('--dry-run', 'show what would go, and remove nothing');
  examples(gc, 'isthmus mirror gc mirror-eu --dry-run', 'isthmus mirror gc mirror-eu').action(
    async (mirror: string, { dryRun = false }: { dryRun?: boolean }) => {
      const { body } = await (await cli.client()).post<CollectedCache>(path('mirrors', mirror, 'gc'), { dryRun });
      const verb = dryRun ? 'would be removed' : 'removed';
      const lines = body.removed.map((each) => `${nameOf(each)} (${each.what}, ${bytes(each.sizeBytes)}) ${verb}`);
      cli.show(body, () => (lines.length === 0 ? 'nothing to remove' : lines.map(escapeText).join('\n')));
    },
  );
}

interface WarmOptions extends FollowOptions {
  readonly to?: readonly string[];
  readonly site?: readonly string[];
  readonly rate?: number;
  readonly deadline?: number;
}

async function warm(cli: Cli, project: string, release: string, options: WarmOptions): Promise<void> {
  const { to: environments, site: sites, rate: maxBytesPerS, deadline: deadlineS } = options;
  const body: NewWarming = {
    ...{ project, release },
    ...(environments === undefined ? {} : { environments }),
    ...(sites === undefined ? {} : { sites }),
    ...(maxBytesPerS === undefined ? {} : { maxBytesPerS }),
    ...(deadlineS === undefined ? {} : { deadlineS }),
  };
  await accepted(cli, (await (await cli.client()).post<TaskSummary>('warmings', body)).body, options);
}

/** Adds the commands about mirrors to `mirror`, which has `start`. */
export function addMirrorCommands(program: Command, cli: Cli): void {
  const group = program.commands.find((each) => each.name() === 'mirror') ?? program.command('mirror');

  const status = group
    .command('status [mirror]')
    .description('show what each mirror has and may use; the server asks them');
  examples(status, 'isthmus mirror status', 'isthmus mirror status mirror-eu').action(async (id?: string) => {
    const client = await cli.client();
    const mirrors =
      id === undefined
        ? (await client.get<MirrorList>('mirrors')).items
        : [await client.get<Mirror>(path('mirrors', id))];
    cli.show(id === undefined ? mirrors : mirrors[0], () =>
      id === undefined ? statusText(mirrors) : oneText(mirrors[0]!),
    );
  });

  const ls = group.command('ls <mirror>').description('list the packages in its cache');
  examples(ls, 'isthmus mirror ls mirror-eu').action(async (id: string) => {
    const items = await (await cli.client()).list<CachedPackage>(path('mirrors', id, 'packages'));
    const rows = items.map(({ sha256, sizeBytes, usedAt, uses, pinned, leased, packages }) => [
      packages.map((each) => `${each.id} ${each.version}`),
      bytes(sizeBytes),
      moment(usedAt),
      uses,
      [...(pinned ? ['pinned'] : []), ...(leased ? ['needed'] : [])],
      sha256,
    ]);
    cli.show(items, () => renderTable(['package', 'size', 'used', 'uses', 'kept', 'sha-256'], rows));
  });

  addKeeping(group, cli);

  const warming = withFollow(
    group
      .command('warm <project> <version>')
      .description('fetch a release to the mirrors of the sites that have machines for it, before it is deployed'),
  )
    .option('--to <environments>', 'only for machines of these environments', collect)
    .option('--site <sites>', 'only at these sites', collect)
    .option('--rate <rate>', 'the most that each mirror fetches, such as 500k or 10M bytes a second', bytesPerS)
    .option('--deadline <time>', 'time limit of the whole warming (default: 2d)', duration);
  examples(
    warming,
    'isthmus mirror warm web 1.2.0',
    'isthmus mirror warm web 1.2.0 --to production --rate 2M --detach',
  ).action((project: string, version: string, options: WarmOptions) => warm(cli, project, version, options));
}
