// `isthmus release …`: releases, which pin a project's process, packages and variables, and the check of Isthmus itself.
import type { Command } from 'commander';
import type { Release } from '../../contract/releases.ts';
import { bytes } from '../../lib/text/byte-size.ts';
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

  const show = group.command('show <project-or-id> [version]').description('show what a release pins');
  examples(show, 'isthmus release show web 1.2.0', 'isthmus release show 01j…').action(
    async (project: string, version?: string) => {
      const client = await cli.client();
      const release = await client.get<Release>(
        version === undefined ? path('releases', project) : path('projects', project, 'releases', version),
      );
      const rows = release.packages.map((one) => [one.step, one.id, one.version, bytes(one.sizeBytes), one.sha256]);
      const head = renderRecord({
        release: release.version,
        project: release.project,
        created: moment(release.createdAt),
      });
      cli.show(release, () => `${head}\n\n${renderTable(['step', 'package', 'version', 'size', 'sha-256'], rows)}`);
    },
  );

  addVerifyCommand(group, cli);
}
