// The mesh as the server sees it, and probes along its paths.
import { Type, type Static } from 'typebox';
import { IsthmusError } from '../../../lib/errors.ts';
import { parentChain, pathsFor } from '../../topology/routes.ts';
import { readTopology, type Link, type Topology } from '../../topology/topology.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { Closed, Nullable, Slug, Timestamp } from '../schemas.ts';

const NodeView = Type.Object({
  id: Slug,
  role: Type.Enum(['server', 'relay', 'mirror', 'tentacle']),
  site: Nullable(Slug),
  parent: Nullable(Slug),
  state: Type.Enum(['active', 'revoked']),
  lastSeenAt: Nullable(Timestamp),
  softwareVersion: Nullable(Type.String()),
});

const LinkView = Type.Object({
  from: Slug,
  to: Slug,
  up: Type.Boolean(),
  roundTripMs: Nullable(Type.Number()),
  bytesDown: Type.Integer(),
  bytesUp: Type.Integer(),
  dialledBy: Type.Enum(['parent', 'child']),
  lastErrorCode: Nullable(Type.String()),
});

const HopView = Type.Object({
  node: Slug,
  roundTripMs: Nullable(Type.Number()),
  version: Nullable(Type.String()),
  certificateDays: Nullable(Type.Number()),
  error: Type.Optional(
    Type.Object({
      code: Type.String(),
      detail: Type.String(),
      hop: Type.Optional(Type.String()),
      remedy: Type.String(),
    }),
  ),
});

export function meshRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const tags = ['mesh'];

  app.get(
    '/mesh',
    {
      config: { policy: 'viewer' },
      schema: {
        tags,
        description:
          'Nodes and links. `from` is the parent side of a link; bytes are since the reporting process began.',
        response: { 200: Type.Object({ nodes: Type.Array(NodeView), links: Type.Array(LinkView) }) },
      },
    },
    async () => {
      const topology = await readTopology(store, services.mesh);
      return {
        nodes: [...topology.nodes.values()].map(toNodeView),
        links: [...topology.links.values()].map(toLinkView),
      };
    },
  );

  app.post(
    '/mesh/trace',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        description: 'Asks each node on the way in turn, up to the first that does not answer.',
        body: Closed({ node: Type.Optional(Slug), machine: Type.Optional(Slug) }),
        response: { 200: Type.Object({ path: Type.Array(Slug), hops: Type.Array(HopView) }) },
      },
    },
    async (request) => {
      const topology = await readTopology(store, services.mesh);
      const { node, machine } = request.body;
      if ((node === undefined) === (machine === undefined)) {
        throw new IsthmusError('INVALID_FIELD', 'name either a node or a machine', { field: 'node' });
      }
      const target = node ?? machine!;
      const path = node === undefined ? await machinePath(context, target, topology) : nodePath(target, topology);
      const hops = await services.trace(target, path);
      return { path: [...path], hops: hops.map(toHopView) };
    },
  );

  app.post(
    '/mesh/ping',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        body: Closed({ machine: Slug, count: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) }),
        response: { 200: Type.Object({ path: Type.Array(Slug), roundTripsMs: Type.Array(Type.Number()) }) },
      },
    },
    async (request) => {
      const { machine, count = 4 } = request.body;
      const path = await machinePath(context, machine, await readTopology(store, services.mesh));
      return { path: [...path], roundTripsMs: [...(await services.ping(machine, path, count))] };
    },
  );
}

/** The first path its routes name. */
async function machinePath({ store }: ApiContext, id: string, topology: Topology): Promise<readonly string[]> {
  const machine = await store.machines.get(id);
  const [path] = pathsFor(machine, topology);
  if (path === undefined) throw new IsthmusError('UNREACHABLE', `no route of machine ${id} can be used now`);
  return path;
}

function nodePath(id: string, topology: Topology): readonly string[] {
  const node = topology.nodes.get(id);
  if (node === undefined) throw new IsthmusError('NOT_FOUND', `there is no node ${id}`, { field: 'node' });
  return parentChain(node.parent, topology);
}

function toNodeView(node: Static<typeof NodeView>): Static<typeof NodeView> {
  const { id, role, site, parent, state, lastSeenAt, softwareVersion } = node;
  return { id, role, site, parent, state, lastSeenAt, softwareVersion };
}

function toLinkView(link: Link): Static<typeof LinkView> {
  return { ...link };
}

const MS_PER_DAY = 86_400_000;

function toHopView(hop: Awaited<ReturnType<ApiContext['services']['trace']>>[number]): Static<typeof HopView> {
  const { error } = hop;
  const expires = hop.certificateNotAfterMs;
  return {
    node: hop.node,
    roundTripMs: hop.roundTripMs ?? null,
    version: hop.softwareVersion ?? null,
    certificateDays: expires === undefined ? null : Math.round(((expires - Date.now()) / MS_PER_DAY) * 10) / 10,
    ...(error === undefined
      ? {}
      : {
          error: {
            code: error.code,
            detail: error.message,
            ...(error.hop === undefined ? {} : { hop: error.hop }),
            remedy: error.remedy,
          },
        }),
  };
}
