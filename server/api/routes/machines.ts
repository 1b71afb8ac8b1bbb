// Machines: environments, target roles, routes, health.
import { Type, type Static } from 'typebox';
import type { Machine } from '../../store/repositories/machines.ts';
import { deleteMachine, updateMachine } from '../../inventory/machines.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import {
  ById,
  Closed,
  FilteredQuery,
  Line,
  mapPage,
  Nullable,
  PageOf,
  pageRequest,
  Route,
  Slug,
  Slugs,
  Timestamp,
} from '../schemas.ts';
import { copyRoute } from './tokens.ts';

const Bound = Type.Optional(Type.Number({ minimum: 0 }));
const Thresholds = Closed({
  diskFreeBytes: Bound,
  memoryFreeBytes: Bound,
  loadPerCpu: Bound,
  clockSkewMs: Bound,
  certificateDays: Bound,
});

const Health = Type.Enum(['unknown', 'healthy', 'warning', 'unhealthy', 'unreachable']);

const View = Type.Object({
  id: Slug,
  name: Type.String(),
  site: Slug,
  environments: Type.Array(Slug),
  targetRoles: Type.Array(Slug),
  routes: Type.Array(Route),
  disabled: Type.Boolean(),
  health: Health,
  healthReport: Type.Unknown(),
  healthAt: Nullable(Timestamp),
  thresholds: Nullable(Thresholds),
  version: Type.Integer(),
  createdAt: Timestamp,
});

const Patch = Closed({
  name: Type.Optional(Line),
  environments: Type.Optional(Slugs),
  targetRoles: Type.Optional(Slugs),
  routes: Type.Optional(Type.Array(Route)),
  disabled: Type.Optional(Type.Boolean()),
  thresholds: Type.Optional(Thresholds),
});

const Query = FilteredQuery({
  environment: Type.Optional(Slug),
  targetRole: Type.Optional(Slug),
  site: Type.Optional(Slug),
});

export function machineRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const tags = ['machines'];

  app.get(
    '/machines',
    { config: { policy: 'viewer' }, schema: { tags, querystring: Query, response: { 200: PageOf(View) } } },
    async (request) => {
      const { environment, targetRole, site } = request.query;
      const filter = {
        environments: environment === undefined ? undefined : [environment],
        targetRoles: targetRole === undefined ? undefined : [targetRole],
        site,
      };
      return mapPage(await store.machines.list(filter, pageRequest(request.query)), toView);
    },
  );

  app.get(
    '/machines/:id',
    { config: { policy: 'viewer' }, schema: { tags, params: ById, response: { 200: View } } },
    async (request, reply) => sendVersioned(reply, toView(await store.machines.get(request.params.id))),
  );

  app.patch(
    '/machines/:id',
    { config: { policy: 'admin' }, schema: { tags, params: ById, body: Patch, response: { 200: View } } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.machines.get(request.params.id);
        const version = requiredVersion(request);
        const wanted = { version, patch: request.body, topology: services.topology };
        const machine = await updateMachine(tx, id, wanted, actor);
        return { status: 200, body: toView(machine), version: machine.version };
      }),
  );

  app.delete(
    '/machines/:id',
    { config: { policy: 'admin' }, schema: { tags, params: ById, response: { 204: Type.Null() } } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.machines.get(request.params.id);
        await deleteMachine(tx, id, requiredVersion(request), actor);
        return { status: 204, body: null };
      }),
  );
}

function toView(machine: Machine): Static<typeof View> {
  return {
    ...machine,
    environments: [...machine.environments],
    targetRoles: [...machine.targetRoles],
    routes: machine.routes.map(copyRoute),
  };
}
