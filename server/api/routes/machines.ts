// Routes of machines: environments, target roles, routes, health.
import { IdempotencyKey, IfMatch, json, noContent } from '../../../contract/http.ts';
import {
  HealthChecks,
  Machine as MachineView,
  MachinePage,
  MachinePatch,
  MachineQuery,
  type HealthReport,
} from '../../../contract/machines.ts';
import { BySlug } from '../../../contract/schema.ts';
import type { Machine } from '../../store/inventory/machines.ts';
import { submitHealthCheck } from '../../health/health-task.ts';
import { deleteMachine, updateMachine } from '../../inventory/machines.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { checkedPage } from '../filters.ts';
import { mapPage, pageRequest } from '../pages.ts';
import { accepted, ACCEPTED_TASK } from './tasks.ts';

export function machineRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const tags = ['machines'];

  app.get(
    '/machines',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listMachines',
        summary: 'List machines',
        tags,
        querystring: MachineQuery,
        response: { 200: json('A page of machines.', MachinePage) },
      },
    },
    async (request) => {
      const { environment, targetRole, site } = request.query;
      const filter = {
        environments: environment === undefined ? undefined : [environment],
        targetRoles: targetRole === undefined ? undefined : [targetRole],
        site,
      };
      const page = await store.machines.list(filter, pageRequest(request.query));
      return mapPage(await checkedPage(store, page, request.query), toView);
    },
  );

  app.get(
    '/machines/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getMachine',
        summary: 'Show one machine',
        tags,
        params: BySlug,
        response: { 200: json('The machine.', MachineView, 'ETag') },
      },
    },
    async (request, reply) => sendVersioned(reply, toView(await store.machines.get(request.params.id))),
  );

  app.patch(
    '/machines/:id',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'updateMachine',
        summary: 'Change one machine',
        tags,
        params: BySlug,
        headers: IfMatch,
        body: MachinePatch,
        response: { 200: json('The changed machine.', MachineView, 'ETag') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.machines.get(request.params.id);
        const version = requiredVersion(request);
        const update = { version, patch: request.body, topology: services.topology };
        const machine = await updateMachine(tx, id, update, actor);
        return { status: 200, body: toView(machine), version: machine.version };
      }),
  );

  app.delete(
    '/machines/:id',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'deleteMachine',
        summary: 'Delete one machine',
        description: '409 `IN_USE` until its node is revoked.',
        tags,
        params: BySlug,
        headers: IfMatch,
        response: { 204: noContent('The machine is deleted.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.machines.get(request.params.id);
        await deleteMachine(tx, id, requiredVersion(request), actor);
        return { status: 204, body: null };
      }),
  );

  app.get(
    '/health-checks',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getHealthChecks',
        summary: 'Show how often machines are checked, and when last',
        tags,
        response: { 200: json('The periodic health checks.', HealthChecks) },
      },
    },
    () => services.healthChecks(),
  );

  app.post(
    '/machines/:id/health',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'checkMachineHealth',
        summary: 'Check the health of one machine',
        tags: ['tasks'],
        params: BySlug,
        headers: IdempotencyKey,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.machines.get(request.params.id);
        return accepted(context, await submitHealthCheck(tx, { machines: [id] }, actor));
      }),
  );
}

function toView(machine: Machine): MachineView {
  // The store keeps the report as JSON; only a health check writes it.
  return { ...machine, healthReport: machine.healthReport as HealthReport | null };
}
