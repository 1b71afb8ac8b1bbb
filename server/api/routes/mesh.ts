// The mesh as the server sees it, and probes along its paths: trace and ping.
import { json } from '../../../contract/http.ts';
import {
  Mesh,
  Ping,
  PingRequest,
  Trace,
  TraceRequest,
  type Hop,
  type MeshLink,
  type MeshNode,
  type ProbeError,
} from '../../../contract/mesh.ts';
import { IsthmusError, type RemedyAction } from '../../../contract/errors.ts';
import { compareText } from '../../../lib/text/compare.ts';
import { DAY_MS } from '../../../lib/time.ts';
import { SOFTWARE_VERSION } from '../../../lib/version.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import type { LiveTopology } from '../../topology/live.ts';
import type { ResolvedPath } from '../../topology/route-resolver.ts';
import type { Link, Topology } from '../../topology/topology.ts';
import { versionSkew } from '../../upgrades/skew.ts';
import { clonesView } from '../clone-view.ts';
import type { ApiContext, ApiInstance } from '../context.ts';

export function meshRoutes(app: ApiInstance, context: ApiContext): void {
  const { services } = context;
  const { topology } = services;
  const tags = ['mesh'];

  app.get(
    '/mesh',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getMesh',
        summary: 'Show the mesh',
        tags,
        description:
          'Nodes and links, sorted by id. `from` is the parent side of a link; bytes count since the reporting ' +
          'process started.',
        response: { 200: json('Nodes and links.', Mesh) },
      },
    },
    () => ({
      nodes: [...topology.nodes.values()]
        .map((node) => toNodeView(node, topology))
        .sort((a, b) => compareText(a.id, b.id)),
      links: topology
        .links()
        .map((link) => toLinkView(link, topology))
        .sort((a, b) => compareText(a.from, b.from) || compareText(a.to, b.to)),
      versionSkew: versionSkew(topology.nodes.values(), SOFTWARE_VERSION),
    }),
  );

  app.post(
    '/mesh/trace',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'traceMesh',
        summary: 'Trace the paths to a node',
        description:
          'Probes each hop of a path in turn, up to the first that does not answer. The paths are those that dispatch ' +
          'uses, in its order, each with its state and cost: the ones that the routes of a machine name, or the ones ' +
          'over the parents of another node.',
        tags,
        body: TraceRequest,
        response: { 200: json('Each path with its hops.', Trace) },
      },
    },
    async (request) => {
      const { node } = request.body;
      const paths = await nodePaths(context, node);
      const traced = await Promise.all(
        paths.map(async ({ relays, state, cost, reason, error, cause }) => {
          const hops = await services.trace(node, relays);
          return { path: [...relays], state, cost, reason, hops: hops.map((hop) => toHopView(hop, error ?? cause)) };
        }),
      );
      return { paths: traced };
    },
  );

  app.post(
    '/mesh/ping',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'pingMachine',
        summary: 'Ping a machine',
        description:
          'Over each path that its routes name, in the order in which they are tried, each with its round trips or its ' +
          'error. Paths that fail are an answer, not an error, also when all of them do.',
        tags,
        body: PingRequest,
        response: { 200: json('Each path with its round trips.', Ping) },
      },
    },
    async (request) => {
      const { machine, count = 4 } = request.body;
      const resolved = await machinePaths(context, machine);
      const outcomes = await Promise.allSettled(
        resolved.map(async ({ relays, error, cause }) => {
          if (error !== undefined) throw error;
          return services.ping(machine, relays, count).catch((thrown: unknown) => {
            throw cause ?? thrown;
          });
        }),
      );
      const paths = outcomes.map((outcome, index) => {
        const path = [...(resolved[index]?.relays ?? [])];
        if (outcome.status === 'fulfilled') return { path, roundTripsMs: [...outcome.value] };
        return { path, roundTripsMs: [], error: toErrorView(IsthmusError.from(outcome.reason, 'UNREACHABLE')) };
      });
      return { paths };
    },
  );
}

type Paths = readonly ResolvedPath[];

/** The paths to a machine; NOT_FOUND when there is none. */
async function machinePaths(context: ApiContext, id: string): Promise<Paths> {
  await context.store.machines.get(id);
  return dispatchPaths(context, id);
}

/** The paths to any node: the server itself needs none. */
async function nodePaths(context: ApiContext, id: string): Promise<Paths> {
  const node = context.services.topology.nodes.get(id);
  if (node === undefined) {
    if (await isAwaited(context, id)) throw notJoined(id, context.services.topology);
    const action: RemedyAction = { code: 'CHOOSE_EXISTING', arguments: { kind: 'node' } };
    throw new IsthmusError('NOT_FOUND', `there is no node ${id}`, { field: 'node', action });
  }
  if (node.role === 'server') return [{ relays: [], cost: 0, state: 'up', reason: null }];
  return dispatchPaths(context, id);
}

/** Whether a token for a node of this name can still be used. */
async function isAwaited({ store }: ApiContext, id: string): Promise<boolean> {
  return (await store.tokens.open(Date.now())).some(({ name }) => name === id);
}

/** The error of a node that waits to join, with who dials it and how that ended last. */
function notJoined(id: string, topology: Topology): IsthmusError {
  const dialled = topology.links().filter(({ to, address }) => to === id && address !== null);
  const dials = dialled.map(({ from, address, lastErrorCode }) => {
    const lastError = lastErrorCode === null ? '' : ` (last error: ${lastErrorCode})`;
    return `; ${from} dials it at ${address}${lastError}`;
  });
  return new IsthmusError('NOT_FOUND', `${id} has not joined yet${dials.join('')}`, {
    field: 'node',
    remedy:
      dials.length === 0
        ? 'Run the join command of its token on that machine.'
        : 'Check that the join command waits on that machine, and that its token has the address of that port.',
  });
}

/** The paths that dispatch uses, in its order. */
function dispatchPaths({ services }: ApiContext, id: string): Paths {
  const { paths } = services.routes.resolve(id);
  if (paths.length === 0) throw new IsthmusError('UNREACHABLE', `no route leads to ${id}`, { hop: id });
  return paths;
}

function toNodeView(node: Node, topology: LiveTopology): MeshNode {
  const { id, role, site, state, lastSeenAt, softwareVersion } = node;
  const parents = node.parents.map((parent) => parent.node);
  const now = topology.liveness(node);
  return { id, role, site, parents, state, ...now, lastSeenAt, softwareVersion, clones: clonesView(node) };
}

function toLinkView(link: Link, { nodes }: Topology): MeshLink {
  return { ...link, childState: nodes.get(link.to)?.state ?? 'pending' };
}

/** A hop; `known` says more than what the probe met, where that is the hop that fails. */
function toHopView(hop: Awaited<ReturnType<ApiContext['services']['trace']>>[number], known?: IsthmusError): Hop {
  const error = hop.error !== undefined && known?.hop === hop.node ? known : hop.error;
  const expires = hop.certificateNotAfterMs;
  return {
    node: hop.node,
    roundTripMs: hop.roundTripMs ?? null,
    version: hop.softwareVersion ?? null,
    certificateDays: expires === undefined ? null : Math.round(((expires - Date.now()) / DAY_MS) * 10) / 10,
    ...(error === undefined ? {} : { error: toErrorView(error) }),
  };
}

function toErrorView({ code, message, hop, remedy, action }: IsthmusError): ProbeError {
  return {
    ...{ code, detail: message, remedy },
    ...(hop === undefined ? {} : { hop }),
    ...(action === undefined ? {} : { action }),
  };
}
