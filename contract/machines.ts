// Machines: environments, target roles, routes and health.
import { Type, type Static } from 'typebox';
import { NodeState } from './nodes.ts';
import {
  Closed,
  Line,
  List,
  ListQuery,
  Nullable,
  OneOf,
  PageOf,
  Slug,
  Slugs,
  Timestamp,
  Version,
  Words,
} from './schema.ts';

const DirectRoute = Closed(
  { kind: Type.Literal('direct') },
  { $id: 'DirectRoute', description: 'The machine is a neighbour of the server.' },
);
const PathRoute = Closed(
  { kind: Type.Literal('path'), via: List(Slug, { minItems: 1, maxItems: 64 }) },
  { $id: 'PathRoute', description: "The relays to cross, the server's neighbour first." },
);
const AutoRoute = Closed(
  { kind: Type.Literal('auto') },
  { $id: 'AutoRoute', description: "Every path over the node's parents, the least-cost live one first." },
);

export const MachineRoute = OneOf('kind', [DirectRoute, PathRoute, AutoRoute], { $id: 'MachineRoute' });
export type MachineRoute = Static<typeof MachineRoute>;

const bound = Type.Optional(Type.Number({ minimum: 0 }));
export const Thresholds = Closed(
  {
    diskFreeBytes: bound,
    memoryFreeBytes: bound,
    loadPerCpu: bound,
    clockSkewMs: bound,
    certificateDays: bound,
  },
  { $id: 'Thresholds', description: 'Limits beyond which a health check warns.' },
);
export type Thresholds = Static<typeof Thresholds>;

export const Health = Words(['unknown', 'healthy', 'warning', 'unhealthy', 'unreachable'], { $id: 'Health' });
export type Health = Static<typeof Health>;

const HealthReason = Type.Object(
  {
    what: Type.String({ description: 'disk, memory, load, clock, certificate, route, path or machine.' }),
    severity: Words(['warning', 'unhealthy', 'unreachable']),
    text: Type.String(),
    hop: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
  },
  { $id: 'HealthReason' },
);
export type HealthReason = Static<typeof HealthReason>;

export const HealthSource = Words(['call', 'report'], {
  $id: 'HealthSource',
  description: 'Whether the server called the machine, or judged what its tentacle reports beside its links.',
});
export type HealthSource = Static<typeof HealthSource>;

export const HealthReport = Type.Object(
  {
    health: Health,
    by: HealthSource,
    reasons: List(HealthReason),
    hop: Type.Optional(Type.String({ description: 'The node at which the path failed.' })),
    route: Type.Optional(MachineRoute),
    roundTripMs: Type.Optional(Type.Number()),
    clockSkewMs: Type.Optional(Type.Number()),
    facts: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'What the tentacle measured.' })),
  },
  { $id: 'HealthReport', description: 'The result of the last health check.' },
);
export type HealthReport = Static<typeof HealthReport>;

export const HealthChecks = Type.Object(
  {
    intervalS: Type.Integer({ description: 'The time between two checks of a machine; 0 when there are none.' }),
    lastRoundAt: Nullable(Timestamp),
    outdatedBefore: Nullable(Timestamp),
  },
  {
    $id: 'HealthChecks',
    description:
      'The periodic checks. A round begins each interval and takes as long; the result of a machine that was last ' +
      'checked before `outdatedBefore`, three intervals ago, says nothing of it now.',
  },
);
export type HealthChecks = Static<typeof HealthChecks>;

export const Machine = Type.Object(
  {
    id: Slug,
    name: Type.String(),
    site: Slug,
    environments: List(Slug),
    targetRoles: List(Slug),
    routes: List(MachineRoute, { description: 'In order of preference.' }),
    disabled: Type.Boolean(),
    state: NodeState,
    health: Health,
    healthReport: Nullable(HealthReport),
    healthAt: Nullable(Timestamp),
    thresholds: Nullable(Thresholds),
    version: Version,
    createdAt: Timestamp,
  },
  { $id: 'Machine' },
);
export type Machine = Static<typeof Machine>;

export const MachinePage = PageOf(Machine, 'MachinePage');

export const MachinePatch = Closed(
  {
    name: Type.Optional(Line),
    environments: Type.Optional(Slugs),
    targetRoles: Type.Optional(Slugs),
    routes: Type.Optional(List(MachineRoute)),
    disabled: Type.Optional(Type.Boolean()),
    thresholds: Type.Optional(Thresholds),
  },
  { $id: 'MachinePatch' },
);
export type MachinePatch = Static<typeof MachinePatch>;

export const MachineQuery = ListQuery({
  environment: Type.Optional(Slug),
  targetRole: Type.Optional(Slug),
  site: Type.Optional(Slug),
});
