// `isthmus release …`: releases, which pin a project's process, packages and variables, and the check of Isthmus itself.
import type { Command } from 'commander';
import type { Release } from '../../contract/releases.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import type { ReleaseSites, SiteReadiness } from '../../contract/mirrors.ts';
import { examples, removeOptions, type Cli, type RemoveOptions } from '../cli.ts';
import { path, type ApiClient } from '../client/client.ts';
import { escapeText } from '../render/escape.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { collectPairs } from '../values.ts';
import { addVerifyCommand } from './verify-software.ts';

/** The package version of each step, which need not be that of the release: one line each. */
export function pinnedLines({ packages }: Pick<Release, 'packages'>): string[] {
  return packages.map(({ step, id, version }) => escapeText(`  step ${step}: package ${id} ${version}`));
}

/** A line for each mirror, and one for each site without any. */
function sitesText(sites: readonly SiteReadiness[]): string {
  const rows = sites.flatMap(({ site, machines, bytes: all, state, mirrors }) => {
    if (mirrors.length === 0) return [[site, machines, '-', state, '-', bytes(all)]];
    return mirrors.map(({ mirror, state: own, missingBytes, error }) => {
      const missing = missingBytes === null ? '-' : bytes(missingBytes);
      return [site, machines, mirror, error === undefined ? own : `${own} (${error})`, missing, bytes(all)];
    });
  });
  return renderTable(['site', 'machines', 'mirror', 'state', 'missing', 'of'], rows);
}

/** Adds `release`. */
export function addReleaseCommands(program: Command, cli: Cli): void {
  const group = program.command('release').description('releases of a project, and checking one of Isthmus itself');
  examples(group, 'isthmus release create web 1.2.0', 'isthmus release list web');

  const create = group
    .command('create <project> <version>')
    .description('pin the process, the packages (by digest and size) and the variables as they are now')
    .option('--notes <text>', 'what is new')
    .option('--package <step=version>', 'the package version of a step (default: the latest)', collectPairs);
  examples(create, 'isthmus release create web 1.2.0', 'isthmus release create web 1.2.0 --package web=1.1.9').action(
    async (project: string, version: string, options: { notes?: string; package?: Record<string, string> }) => {
      const { body } = await (
        await cli.client()
      ).post<Release>(path('projects', project, 'releases'), {
        version,
        ...(options.notes === undefined ? {} : { notes: options.notes }),
        ...(options.package === undefined ? {} : { packages: options.package }),
      });
      cli.show(body, () => [`release ${body.version} of ${project} created`, ...pinnedLines(body)].join('\n'));
    },
  );

  examples(group.command('list <project>').description('list its releases'), 'isthmus release list web').action(
    async (project: string) => {
      const items = await (await cli.client()).list<Release>(path('projects', project, 'releases'));
      const rows = items.map((each) => [
        each.version,
        moment(each.createdAt),
        each.packages.map((one) => `${one.id} ${one.version}`),
        each.id,
      ]);
      cli.show(items, () => renderTable(['version', 'created', 'packages', 'id'], rows));
    },
  );

  const remove = removeOptions(
    group
      .command('delete <project> <version>')
      .description('delete a release that no machine has and no task deploys; its packages stay'),
  );
  examples(remove, 'isthmus release delete web 1.0.0 --dry-run', 'isthmus release delete web 1.0.0 --yes').action(
    async (project: string, version: string, options: RemoveOptions) => {
      const deleter = async (client: ApiClient) => {
        const { id } = await client.get<Release>(path('projects', project, 'releases', version));
        return client.deleter(path('releases', id));
      };
      await cli.removeListed(deleter, `Delete the release ${version} of ${project}?`, options);
    },
  );

  const show = group
    .command('show <project-or-id> [version]')
    .description('show what a release pins')
    .option('--sites', 'show which sites have it at their mirrors');
  examples(
    show,
    'isthmus release show web 1.2.0',
    'isthmus release show web 1.2.0 --sites',
    'isthmus release show 01j…',
  ).action(async (project: string, version: string | undefined, options: { sites?: boolean }) => {
    const client = await cli.client();
    const release = await client.get<Release>(
      version === undefined ? path('releases', project) : path('projects', project, 'releases', version),
    );
    if (options.sites === true) {
      const at = path('projects', release.project, 'releases', release.version, 'sites');
      const { items } = await client.get<ReleaseSites>(at);
      cli.show(items, () => sitesText(items));
      return;
    }
    const rows = release.packages.map((one) => [one.step, one.id, one.version, bytes(one.sizeBytes), one.sha256]);
    const head = renderRecord({
      release: release.version,
      project: release.project,
      created: moment(release.createdAt),
    });
    cli.show(release, () => `${head}\n\n${renderTable(['step', 'package', 'version', 'size', 'sha-256'], rows)}`);
  });

  addVerifyCommand(group, cli);
}
