// `isthmus mirror …` beside `mirror start`: the caches of mirrors, as the server finds them.
import type { Command } from 'commander';
import type { CachedPackage, Mirror, MirrorList, NewWarming } from '../../contract/mirrors.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { escapeText } from '../render/escape.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
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
    cli.show(id === undefined ? mirrors : mirrors[0], () => statusText(mirrors));
  });

  const ls = group.command('ls <mirror>').description('list the packages in its cache');
  examples(ls, 'isthmus mirror ls mirror-eu').action(async (id: string) => {
    const items = await (await cli.client()).list<CachedPackage>(path('mirrors', id, 'packages'));
    const rows = items.map(({ sha256, sizeBytes, usedAt, packages }) => [
      packages.map((each) => `${each.id} ${each.version}`),
      bytes(sizeBytes),
      moment(usedAt),
      sha256,
    ]);
    cli.show(items, () => renderTable(['package', 'size', 'used', 'sha-256'], rows));
  });

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
