// `isthmus project …`: projects with their process and variables.
import { Option, type Command } from 'commander';
import type { Machine } from '../../contract/machines.ts';
import type { Project } from '../../contract/projects.ts';
import type { WarmSetting } from '../../contract/warm-setting.ts';
import type { Variable } from '../../contract/variables.ts';
import { parseSettings, type SettingsFile } from '../../lib/config/file.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { examples, removeOptions, type Cli, type RemoveOptions } from '../cli.ts';
import { path, type ApiClient } from '../client/client.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { readInput, readSecret } from '../files.ts';
import { warn } from '../terminal.ts';
import { bytesPerS, collect, timeWindow } from '../values.ts';

interface VariableOptions {
  readonly sensitive?: boolean;
  readonly file?: string;
  readonly environment?: string[];
  readonly machine?: string[];
  readonly targetRole?: string[];
}

/** The steps of a process file: `{ steps: [...] }` or the list itself. INVALID_FIELD, with file and line, for another. */
async function readProcess({ terminal }: Cli, file: string): Promise<{ steps: unknown }> {
  const { value } = parseProcess(await readInput(file, terminal, 'the process'), file);
  const steps: unknown = typeof value === 'object' && value !== null && 'steps' in value ? value.steps : value;
  if (!Array.isArray(steps))
    throw new IsthmusError('INVALID_FIELD', `${file}: a process has "steps"`, { field: 'steps' });
  if (JSON.stringify(steps).includes('\\r\\n')) {
    warn(terminal, 'note: Windows line ends in its scripts are left out when they run');
  }
  return { steps };
}

function parseProcess(text: string, file: string): SettingsFile {
  try {
    return parseSettings(text, file);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError)) throw thrown;
    throw new IsthmusError('INVALID_FIELD', thrown.message, {
      ...{ field: thrown.field, cause: thrown },
      remedy: 'Correct the file at the line that it names.',
    });
  }
}

function addProjects(group: Command, cli: Cli): void {
  examples(group.command('list').description('list projects'), 'isthmus project list').action(async () => {
    const items = await (await cli.client()).list<Project>('projects');
    cli.show(items, () =>
      renderTable(
        ['project', 'name', 'description'],
        items.map((each) => [each.id, each.name, each.description]),
      ),
    );
  });

  const create = group
    .command('create <id>')
    .description('create a project')
    .option('--name <name>', 'display name (default: the id)')
    .option('--description <text>', 'what it is')
    .option('--process <file>', 'its process, as YAML or JSON');
  examples(create, 'isthmus project create web --process process.yaml').action(
    async (id: string, options: { name?: string; description?: string; process?: string }) => {
      const client = await cli.client();
      const process = options.process === undefined ? undefined : await readProcess(cli, options.process);
      const { body } = await client.post<Project>('projects', {
        id,
        name: options.name ?? id,
        description: options.description ?? '',
        ...process,
      });
      cli.show(body, () => `project ${id} created`);
      if (process !== undefined) await warnOfIdleRoles(cli, rolesOf(body));
    },
  );

  examples(
    group.command('show <id>').description('show a project and its steps'),
    'isthmus project show web',
    'isthmus project show web -o json',
  ).action(async (id: string) => {
    const project = await (await cli.client()).get<Project>(path('projects', id));
    const rows = project.process.map((step, index) => [
      index + 1,
      step.name,
      step.kind,
      step.kind === 'package' ? step.package.id : undefined,
      ...whenAndWhere(step),
    ]);
    const head = renderRecord({
      project: project.id,
      name: project.name,
      description: project.description,
      warmed: warmText(project.warm),
    });
    const headings = ['#', 'step', 'kind', 'package', 'stage', 'runs on'];
    cli.show(project, () => `${head}\n\n${renderTable(headings, rows)}`);
  });

  const setProcess = group
    .command('set-process <id> <file>')
    .description('replace its process (YAML or JSON, - for standard input)');
  examples(setProcess, 'isthmus project set-process web process.yaml').action(async (id: string, file: string) => {
    const process = await readProcess(cli, file);
    const { body } = await (
      await cli.client()
    ).change<Project>('PUT', path('projects', id, 'process'), process, path('projects', id));
    cli.show(body, () => `process of ${id} replaced`);
    await warnOfIdleRoles(cli, rolesOf(body));
  });

  const setWarm = group
    .command('set-warm <id>')
    .description('say when its releases are fetched to mirrors before they are deployed')
    .addOption(
      new Option('--on <when>', 'when a release is created, after a deployment to an environment before, or never')
        .choices(['release', 'promotion', 'never'])
        .makeOptionMandatory(),
    )
    .option('--environment <ids>', 'for machines of these environments, in their order (default: all)', collect)
    .option('--window <time>', 'fetch only then, in UTC: 22:00-06:00', timeWindow)
    .option('--rate <rate>', 'the most that each mirror fetches, such as 500k or 10M bytes a second', bytesPerS);
  examples(
    setWarm,
    'isthmus project set-warm web --on release --window 22:00-06:00 --rate 2M',
    'isthmus project set-warm web --on promotion --environment staging,production',
    'isthmus project set-warm web --on never',
  ).action(async (id: string, { on, environment: environments, window, rate: maxBytesPerS }: WarmOptions) => {
    const warm: WarmSetting = {
      on,
      ...(environments === undefined ? {} : { environments }),
      ...(window === undefined ? {} : { window }),
      ...(maxBytesPerS === undefined ? {} : { maxBytesPerS }),
    };
    const { body } = await (
      await cli.client()
    ).change<Project>('PATCH', path('projects', id), { warm }, path('projects', id));
    cli.show(body, () => `releases of ${id} are warmed: ${warmText(body.warm)}`);
  });

  const remove = removeOptions(group.command('delete <id>').description('delete a project that has no release'));
  examples(remove, 'isthmus project delete web --dry-run', 'isthmus project delete web --yes').action(
    async (id: string, options: RemoveOptions) => {
      const deleter = (client: ApiClient) => client.deleter(path('projects', id));
      await cli.removeListed(deleter, `Delete the project ${id} with its variables?`, options);
    },
  );
}

interface WarmOptions {
  readonly on: WarmSetting['on'];
  readonly environment?: readonly string[];
  readonly window?: NonNullable<WarmSetting['window']>;
  readonly rate?: number;
}

function warmText({ on, environments, window, maxBytesPerS }: WarmSetting = { on: 'never' }): string {
  return [
    on === 'never' ? on : `on ${on}`,
    ...(environments === undefined ? [] : [`for ${environments.join(', ')}`]),
    ...(window === undefined ? [] : [`from ${window.from} to ${window.to} UTC`]),
    ...(maxBytesPerS === undefined ? [] : [`at ${bytes(maxBytesPerS)}/s`]),
  ].join(', ');
}

/** The stage of a step, and its machines. */
function whenAndWhere(step: Project['process'][number]): readonly [string, string] {
  const roles = step.targetRoles.length === 0 ? 'every machine' : step.targetRoles.join(', ');
  if (step.kind === 'package') return ['acquisition, steps', roles];
  return [step.stage === undefined ? 'steps' : 'before acquisition', step.machine ?? roles];
}

/** A sensitive value comes from a file or standard input; a plain one may stand on the command line. */
async function variableValue(
  cli: Cli,
  name: string,
  value: string | undefined,
  options: VariableOptions,
): Promise<string> {
  if (options.sensitive === true && value !== undefined) {
    throw new IsthmusError(
      'SECRET_ON_ARGV',
      `the sensitive value of ${name} stands on the command line; use --file FILE, or --file -`,
    );
  }
  if (options.file !== undefined) return readSecret(options.file, cli.terminal, `the value of ${name}`);
  if (value === undefined) throw new IsthmusError('USAGE', `the value of ${name} is missing: give it, or --file FILE`);
  return value;
}

/** A role that no machine has may be a misspelt one; machines may also get it later. */
async function warnOfIdleRoles(cli: Cli, targetRoles: readonly string[]): Promise<void> {
  if (targetRoles.length === 0) return;
  const machines = await (await cli.client()).list<Machine>('machines');
  const known = new Set(machines.flatMap((machine) => machine.targetRoles));
  for (const role of new Set(targetRoles))
    if (!known.has(role)) warn(cli.terminal, `note: no machine has the role ${role} yet`);
}

/** The target roles of all its steps. */
function rolesOf({ process }: Project): string[] {
  return process.flatMap(({ targetRoles }) => targetRoles);
}

function addVariables(group: Command, cli: Cli): void {
  const variables = group.command('variables').description('its variables');
  examples(
    variables,
    'isthmus project variables list web',
    'isthmus project variables set web Port 8080 --machine eu-1',
  );

  examples(
    variables.command('list <project>').description('list variables; sensitive values are never shown'),
    'isthmus project variables list web',
  ).action(async (project: string) => {
    const items = await (await cli.client()).list<Variable>(path('projects', project, 'variables'));
    const rows = items.map((each) => [
      each.name,
      each.sensitive ? '(sensitive)' : each.value,
      each.environments,
      each.machines,
      each.targetRoles,
      each.id,
    ]);
    cli.show(items, () => renderTable(['name', 'value', 'environments', 'machines', 'target roles', 'id'], rows));
  });

  const set = variables
    .command('set <project> <name> [value]')
    .description('add a variable, or replace the one of the same name and scope')
    .option('--sensitive', 'sealed at rest, masked in logs, never shown again')
    .option('--file <file>', 'read the value from a file, - for standard input')
    .option('--environment <ids>', 'only in these environments', collect)
    .option('--machine <ids>', 'only on these machines', collect)
    .option('--target-role <roles>', 'only on machines with these target roles', collect);
  examples(
    set,
    'isthmus project variables set web Port 8080 --machine eu-1',
    'isthmus project variables set web DbPassword --sensitive --file - < password.txt',
  ).action(async (project: string, name: string, value: string | undefined, options: VariableOptions) => {
    const content = await variableValue(cli, name, value, options);
    const client = await cli.client();
    const scope = {
      environments: options.environment ?? [],
      machines: options.machine ?? [],
      targetRoles: options.targetRole ?? [],
    };
    const all = await client.list<Variable>(path('projects', project, 'variables'));
    const same = (a: readonly string[] = [], b: readonly string[]): boolean =>
      [...a].sort().join() === [...b].sort().join();
    const existing = all.find(
      (each) =>
        each.name === name &&
        same(each.environments, scope.environments) &&
        same(each.machines, scope.machines) &&
        same(each.targetRoles, scope.targetRoles),
    );
    const body = { name, value: content, sensitive: options.sensitive === true, ...scope };
    const collection = path('projects', project, 'variables');
    const reply =
      existing === undefined
        ? await client.post<Variable>(collection, body)
        : await client.change<Variable>('PATCH', path('projects', project, 'variables', existing.id), {
            value: content,
            sensitive: body.sensitive,
          });
    cli.show(reply.body, () => `${name} ${existing === undefined ? 'added' : 'replaced'}`);
    await warnOfIdleRoles(cli, scope.targetRoles);
  });

  const remove = variables
    .command('delete <project> <id>')
    .description('delete a variable by its id')
    .option('--yes', 'do not ask');
  examples(remove, 'isthmus project variables delete web 01j… --yes').action(
    async (project: string, id: string, options: { yes?: boolean }) => {
      await cli.remove(
        path('projects', project, 'variables', id),
        `Delete the variable ${id} of ${project}?`,
        options.yes,
      );
      cli.show({ deleted: id }, () => `variable ${id} deleted`);
    },
  );
}

/** Adds `project`. */
export function addProjectCommands(program: Command, cli: Cli): void {
  const group = program.command('project').description('projects: steps and variables');
  examples(group, 'isthmus project create web --process process.yaml', 'isthmus project variables list web');
  addProjects(group, cli);
  addVariables(group, cli);
}
