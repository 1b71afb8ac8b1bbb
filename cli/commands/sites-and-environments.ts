// `isthmus site …` and `isthmus environment …`. A machine belongs to one site and any number of environments.
import type { Command } from 'commander';
import type { Site } from '../../contract/sites.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { renderTable } from '../render/table.ts';

// Environments have the fields of sites.
interface SiteOrEnvironmentOptions {
  readonly name?: string;
  readonly description?: string;
}

function addSiteOrEnvironmentGroup(
  program: Command,
  cli: Cli,
  noun: string,
  collection: string,
  example: string,
): void {
  const group = program.command(noun).description(`the ${collection} of the mesh`);
  examples(group, `isthmus ${noun} list`, `isthmus ${noun} create ${example}`);

  examples(
    group.command('list').description(`list ${collection}`),
    `isthmus ${noun} list`,
    `isthmus ${noun} list -o json`,
  ).action(async () => {
    const items = await (await cli.client()).list<Site>(collection);
    cli.show(items, () =>
      renderTable(
        ['id', 'name', 'description'],
        items.map((item) => [item.id, item.name, item.description]),
      ),
    );
  });

  const create = group
    .command('create <id>')
    .description(`create ${withArticle(noun)}`)
    .option('--name <name>', 'display name (default: the id)')
    .option('--description <text>', 'what it is for');
  examples(create, `isthmus ${noun} create ${example}`).action(
    async (id: string, options: SiteOrEnvironmentOptions) => {
      const body = { id, name: options.name ?? id, description: options.description ?? '' };
      const { body: created } = await (await cli.client()).post<Site>(collection, body);
      cli.show(created, () => `${noun} ${created.id} created`);
    },
  );

  const set = group
    .command('set <id>')
    .description('change its name or description')
    .option('--name <name>', 'display name')
    .option('--description <text>', 'what it is for');
  examples(set, `isthmus ${noun} set ${example} --description "moved in May"`).action(
    async (id: string, options: SiteOrEnvironmentOptions) => {
      if (options.name === undefined && options.description === undefined) {
        throw new IsthmusError('USAGE', 'nothing to change: give --name or --description');
      }
      const { body } = await (await cli.client()).change<Site>('PATCH', path(collection, id), options);
      cli.show(body, () => `${noun} ${id} changed`);
    },
  );

  const remove = group
    .command('delete <id>')
    .description(`delete ${withArticle(noun)} that nothing refers to`)
    .option('--yes', 'do not ask');
  examples(remove, `isthmus ${noun} delete ${example} --yes`).action(async (id: string, options: { yes?: boolean }) => {
    await cli.remove(path(collection, id), `Delete the ${noun} ${id}?`, options.yes);
    cli.show({ deleted: id }, () => `${noun} ${id} deleted`);
  });
}

/** Adds the groups `site` and `environment`. */
export function addSiteAndEnvironmentCommands(program: Command, cli: Cli): void {
  addSiteOrEnvironmentGroup(program, cli, 'site', 'sites', 'eu');
  addSiteOrEnvironmentGroup(program, cli, 'environment', 'environments', 'production');
}

function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
}
