// `isthmus node upgrade`: takes the software of nodes to another version, through the mesh.
import { Option, type Command } from 'commander';
import { listedDigest } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { softwarePackage, type NewNodeUpgrade } from '../../contract/node-upgrades.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import { examples, type Cli } from '../cli.ts';
import type { ApiClient } from '../client/client.ts';
import { readTarball, type Tarball } from '../tarball.ts';
import { warn } from '../terminal.ts';
import { collectWhole, count, duration } from '../values.ts';
import { pushPackage } from './package.ts';
import { accepted, withFollow, type FollowOptions } from './task.ts';

interface UpgradeOptions extends FollowOptions {
  readonly site?: string;
  readonly file: readonly string[];
  readonly canary?: string;
  readonly atOnce?: number;
  readonly deadline?: number;
  readonly unreachable?: NewNodeUpgrade['unreachable'];
}

/** A tarball and its file. */
interface TarballFile extends Tarball {
  readonly path: string;
}

/** The tarballs, whose bytes are those of one list. USAGE when there are several lists. */
async function readTarballs(paths: readonly string[]): Promise<readonly TarballFile[]> {
  const tarballs: TarballFile[] = [];
  for (const path of paths) {
    const tarball = await readTarball(path, ({ sums }, name) => listedDigest(sums, name));
    tarballs.push({ ...tarball, path });
  }
  if (new Set(tarballs.map(({ signed }) => signed.sums)).size === 1) return tarballs;
  throw new IsthmusError('USAGE', 'the tarballs do not lie beside one SHA256SUMS: take those of one build');
}

/** Requests the upgrade. The tarballs are pushed when the server lacks them, once it has accepted everything else. */
async function request(
  client: ApiClient,
  body: NewNodeUpgrade,
  tarballs: readonly TarballFile[],
  onPush: (tarball: TarballFile) => void,
): Promise<TaskSummary> {
  const post = async () => (await client.post<TaskSummary>('node-upgrades', body)).body;
  try {
    return await post();
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || thrown.action?.code !== 'PUSH_PACKAGE') throw thrown;
  }
  for (const tarball of tarballs) {
    onPush(tarball);
    await pushPackage(client, tarball.path, softwarePackage(tarball.architecture), tarball.version);
  }
  return post();
}

async function upgrade(cli: Cli, node: string | undefined, options: UpgradeOptions): Promise<void> {
  const { site, file, canary, atOnce, deadline: deadlineS, unreachable } = options;
  if ((node === undefined) === (site === undefined)) throw new IsthmusError('USAGE', 'name one node, or --site');
  const tarballs = await readTarballs(file);
  const { sums, signature } = tarballs[0]!.signed;
  const body = {
    ...(node === undefined ? { site: site! } : { node }),
    tarballs: tarballs.map(({ name }) => name),
    ...{ sums, signature: signature.toString('base64') },
    ...(canary === undefined ? {} : { canary }),
    ...(atOnce === undefined ? {} : { atOnce }),
    ...(unreachable === undefined ? {} : { unreachable }),
    ...(deadlineS === undefined ? {} : { deadlineS }),
  };
  const task = await request(await cli.client(), body, tarballs, ({ name }) => warn(cli.terminal, `pushing ${name}`));
  await accepted(cli, task, options);
}

/** Adds `upgrade` to the group `node`. */
export function addNodeUpgradeCommand(group: Command, cli: Cli): void {
  const command = withFollow(
    group
      .command('upgrade [node]')
      .description(
        'upgrade the software of a node, or of all nodes of a site: one first, then the others; a node goes back by ' +
          'itself when the new version does not connect and its machine is not healthy within two minutes',
      ),
  )
    .option('--site <site>', 'all active nodes of this site')
    .requiredOption(
      '--file <tarball>',
      'the tarball, beside its SHA256SUMS and SHA256SUMS.sig; repeat for another architecture',
      collectWhole,
    )
    .option('--canary <node>', 'the node to upgrade first, which must succeed (default: the first tentacle)')
    .option('--at-once <n>', 'nodes at once, after the first has succeeded; relays go one by one (default: 1)', count)
    .option('--deadline <time>', 'time limit of the whole upgrade', duration)
    .addOption(
      new Option(
        '--unreachable <what>',
        'what to do with a node that does not answer: fail after two minutes, or skip it after ten seconds',
      ).choices(['fail', 'skip']),
    );
  examples(
    command,
    'isthmus node upgrade web-1 --file isthmus-0.2.0-linux-x64.tar.gz',
    'isthmus node upgrade --site eu --file isthmus-0.2.0-linux-x64.tar.gz --canary web-1 --at-once 5',
  ).action((node: string | undefined, options: UpgradeOptions) => upgrade(cli, node, options));
}
