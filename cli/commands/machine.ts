// `isthmus machine …`: a machine's environments, target roles and routes, and whether it is enabled.
import type { Command } from 'commander';
import type { Machine, MachineRoute } from '../../contract/machines.ts';
import type { Node } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { examples, type Cli } from '../cli.ts';
import { path, type ApiClient } from '../client/client.ts';
import { healthText, statusText } from '../render/machine.ts';
import { revokedText } from '../render/remedy.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { milliseconds, moment } from '../render/units.ts';
import { collectOrNone, collectRoutes, routesText } from '../values.ts';

interface SetOptions {
  readonly name?: string;
  readonly environment?: string[];
  readonly targetRole?: string[];
}

/** The machine's node when it is revoked. */
async function revokedNode(client: ApiClient, { id, state }: Machine): Promise<Node | undefined> {
  return state === 'revoked' ? client.get<Node>(path('nodes', id)) : undefined;
}

async function patchMachine(cli: Cli, id: string, change: object, done: string): Promise<void> {
  const client = await cli.client();
  const { body } = await client.change<Machine>('PATCH', path('machines', id), change);
  const node = await revokedNode(client, body);
  cli.show(body, () => (node === undefined ? done : `${done}, but ${revokedText(node)}`));
}

/** `bash, sh`; undefined before a health check has found any. */
function interpretersText({ healthReport }: Machine): string | undefined {
  const found = healthReport?.facts?.['interpreters'];
  if (!Array.isArray(found) || found.length === 0) return undefined;
  return found.map(({ name }: { readonly name?: unknown }) => String(name)).join(', ');
}

function addLook(group: Command, cli: Cli): void {
  const list = group
    .command('list')
    .description('list machines')
    .option('--environment <id>', 'only those of this environment')
    .option('--target-role <role>', 'only those with this target role')
    .option('--site <id>', 'only those of this site');
  examples(list, 'isthmus machine list', 'isthmus machine list --environment production --target-role web').action(
    async (options: { environment?: string; targetRole?: string; site?: string }) => {
      const { environment, targetRole, site } = options;
      const items = await (await cli.client()).list<Machine>('machines', { environment, targetRole, site });
      const rows = items.map((each) => [
        each.id,
        each.site,
        each.environments,
        each.targetRoles,
        routesText(each.routes),
        statusText(each),
        moment(each.healthAt),
      ]);
      cli.show(items, () =>
        renderTable(['machine', 'site', 'environments', 'roles', 'route', 'health', 'checked'], rows),
      );
    },
  );
  examples(group.command('show <machine>').description('show one machine'), 'isthmus machine show eu-1').action(
    async (id: string) => {
      const client = await cli.client();
      const machine = await client.get<Machine>(path('machines', id));
      const node = await revokedNode(client, machine);
      cli.show(machine, () => {
        const record = renderRecord({
          machine: machine.id,
          name: machine.name,
          site: machine.site,
          environments: machine.environments,
          'target roles': machine.targetRoles,
          'routes (in order)': routesText(machine.routes),
          node: machine.state,
          disabled: machine.disabled,
          health: healthText(machine),
          checked: moment(machine.healthAt),
          interpreters: interpretersText(machine),
          'round trip': milliseconds(machine.healthReport?.roundTripMs),
        });
        return node === undefined ? record : `${record}\n\n${revokedText(node)}`;
      });
    },
  );
}

function addChange(group: Command, cli: Cli): void {
  const setRoute = group
    .command('set-route <machine>')
    .description('set how the server reaches it, in order of preference');
  setRoute.argument(
    '<route...>',
    '`direct`, the relays to cross (eu,eu-pci), or `auto`: the least-cost path at the time',
    collectRoutes,
  );
  examples(
    setRoute,
    'isthmus machine set-route eu-pci-1 eu,eu-pci',
    'isthmus machine set-route eu-1 eu eu-standby      # a second relay when the first is down',
    'isthmus machine set-route web-1 auto              # by the parent with the least-cost path',
    'isthmus machine set-route hq-1 direct',
  ).action(async (id: string, routes: readonly MachineRoute[]) => {
    await patchMachine(cli, id, { routes }, `${id} is reached by ${routesText(routes)}`);
  });

  const set = group
    .command('set <machine>')
    .description("change its name, environments or target roles (a list replaces the earlier one, '' is an empty one)")
    .option('--name <name>', 'display name')
    .option('--environment <ids>', 'environments it belongs to', collectOrNone)
    .option('--target-role <roles>', 'target roles it has', collectOrNone);
  examples(set, 'isthmus machine set eu-1 --environment production --target-role web,api').action(
    async (id: string, options: SetOptions) => {
      const change = {
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.environment === undefined ? {} : { environments: options.environment }),
        ...(options.targetRole === undefined ? {} : { targetRoles: options.targetRole }),
      };
      if (Object.keys(change).length === 0) {
        throw new IsthmusError('USAGE', 'nothing to change: give --name, --environment or --target-role');
      }
      await patchMachine(cli, id, change, `${id} changed`);
    },
  );

  for (const [verb, disabled] of [
    ['enable', false],
    ['disable', true],
  ] as const) {
    const what = disabled
      ? 'exclude it from deployments, scripts and checks'
      : 'include it in deployments, scripts and checks again';
    const command = group.command(`${verb} <machine>`).description(what);
    examples(command, `isthmus machine ${verb} eu-1`).action((id: string) =>
      patchMachine(cli, id, { disabled }, `${id} ${verb}d`),
    );
  }

  const remove = group
    .command('delete <machine>')
    .description('delete a machine; revoke its node first')
    .option('--yes', 'do not ask');
  examples(remove, 'isthmus node revoke eu-1 --yes && isthmus machine delete eu-1 --yes').action(
    async (id: string, options: { yes?: boolean }) => {
      await cli.remove(path('machines', id), `Delete the machine ${id}?`, options.yes);
      cli.show({ deleted: id }, () => `machine ${id} deleted`);
    },
  );
}

/** Adds `machine`. */
export function addMachineCommands(program: Command, cli: Cli): void {
  const group = program.command('machine').description('machines: what they are for and how they are reached');
  examples(
    group,
    'isthmus machine list',
    'isthmus machine set-route eu-1 eu',
    'isthmus machine set eu-1 --target-role web',
  );
  addLook(group, cli);
  addChange(group, cli);
}
