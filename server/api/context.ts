// What the API needs from the rest of the server, and what it adds to Fastify's types.
import type { Readable } from 'node:stream';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
} from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Deletion } from '../../contract/deletions.ts';
import type { HealthChecks } from '../../contract/machines.ts';
import type { Reactivation } from '../../contract/nodes.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Sealer } from '../../lib/secrets/seal.ts';
import type { TraceHop } from '../../mesh/echo.ts';
import type { Principal } from '../access/api-keys.ts';
import type { StepHandlerRegistry } from '../deployments/steps/handler.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';
import type { SubscriptionStatus } from '../events/subscriptions.ts';
import type { ExplainedSource } from '../packages/explain-sources.ts';
import type { StepSource } from '../packages/feed.ts';
import type { PackageMeta, PushResult } from '../packages/push.ts';
import type { PruneOptions } from '../packages/retention.ts';
import type { ApiRole } from '../store/access/api-keys.ts';
import type { Actor, Page, PageRequest } from '../store/base.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Package } from '../store/packages/packages.ts';
import type { DeleteOptions } from '../store/references.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import type { TaskKindRegistry } from '../tasks/kinds.ts';
import type { NewParentInput } from '../topology/desired-parents.ts';
import type { LiveTopology } from '../topology/live.ts';
import type { RouteResolver } from '../topology/route-resolver.ts';
import type { CreatedToken, TokenInput } from '../enrolment/tokens.ts';

/** Who may use a route: anyone, or a key of this role or above. */
export type RouteAccess = 'public' | ApiRole;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: RouteAccess;
  }
  interface FastifyRequest {
    /** Set on every route that is not public. */
    principal: Principal | null;
    /** SHA-256 of the body as sent, in hex; null when there was none. */
    bodySha256: string | null;
    /** Whether its key has enough connections without this one. */
    isSurplus: boolean;
  }
}

/** A Fastify instance whose handlers are typed by their TypeBox schemas. */
export type ApiInstance = FastifyInstance<
  RawServerBase,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** An action that runs once the transaction has committed. */
export type AfterCommit = () => void;

/** The components of the server that the API calls besides the store. */
export interface ApiServices {
  readonly topology: LiveTopology;
  readonly routes: RouteResolver;
  readonly mirrors: Mirrors;
  trace(node: string, path: readonly string[]): Promise<readonly TraceHop[]>;
  ping(node: string, path: readonly string[], count: number): Promise<readonly number[]>;
  createToken(tx: StoreTransaction, input: TokenInput, actor: Actor): Promise<CreatedToken>;
  setParents(
    tx: StoreTransaction,
    node: string,
    change: { readonly version: number; readonly parents: readonly NewParentInput[] },
    actor: Actor,
  ): Promise<Node>;
  revokeNode(tx: StoreTransaction, node: string, actor: Actor): Promise<void>;
  reactivateNode(tx: StoreTransaction, node: string, choice: Reactivation, actor: Actor): Promise<void>;
  eventSubscriptions(): Promise<SubscriptionStatus[]>;
  pushPackage(body: Readable, meta: PackageMeta, actor: Actor): Promise<PushResult>;
  packageVersions(id: string, page: PageRequest): Promise<Page<Package>>;
  /** The latest version unless one is named. */
  findPackage(id: string, version?: string): Promise<Package>;
  deletePackage(id: string, version: string, options: DeleteOptions): Promise<Deletion>;
  prunePackages(options: PruneOptions): Promise<Deletion>;
  openPackage(sha256: string): Promise<Readable>;
  /** The sources of a node for a package, in the order in which it tries them. */
  explainSources(requester: Node, wanted: Package, step?: StepSource): Promise<ExplainedSource[]>;
  healthChecks(): HealthChecks;
  /** Wakes the task engine: there may be a task to claim. */
  wake(): void;
}

export interface ApiContext {
  readonly store: Store;
  readonly log: Logger;
  readonly sealer: Sealer;
  readonly kinds: TaskKindRegistry;
  readonly steps: StepHandlerRegistry;
  readonly services: ApiServices;
  readonly nodeId: string;
  readonly meshId: string;
  /** Aborted when the server begins to stop: streams end, and /readyz answers 503. */
  readonly stopping: AbortSignal;
}
