// The store: every repository over one database. Map of this folder:
//   schema.ts         the tables as Kysely sees them; migrations/ creates them
//   sqlite/           the dialect over node:sqlite, and the exclusive lock on a data folder
//   access/ events/ inventory/ nodes/ packages/ projects/ tasks/   the repositories: one class per noun
//   retention.ts      purges what is too old
//   changes.ts        what a commit changed in the mesh, for the topology in memory
// Reads may use the store itself; writes of more than one statement need `transaction`.
import { AsyncLocalStorage } from 'node:async_hooks';
import { Kysely } from 'kysely';
import type { EventType } from '../../contract/events.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { ClockWatch } from '../../lib/async/clock-watch.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import { DENIAL_LIMITS, DenialRepository } from './events/denials.ts';
import { EventRepository, appendedTypes } from './events/events.ts';
import { SubscriptionRepository } from './events/subscriptions.ts';
import { readMeshChange, type MeshChangeListener } from './changes.ts';
import { migrate, MIGRATIONS } from './migrations/migrate.ts';
import { ApiKeyRepository } from './access/api-keys.ts';
import type { Executor } from './base.ts';
import { IdempotencyRepository } from './access/idempotency.ts';
import { ContentRepository } from './packages/contents.ts';
import { InstalledRepository } from './packages/installed.ts';
import { LogLineRepository } from './tasks/log-lines.ts';
import { MachineRepository } from './inventory/machines.ts';
import { SiteOrEnvironmentRepository } from './inventory/sites-and-environments.ts';
import { OutageRepository } from './nodes/outages.ts';
import { MirrorPinRepository } from './packages/mirror-pins.ts';
import { NodeRepository } from './nodes/nodes.ts';
import { PackageSourceRepository } from './packages/package-sources.ts';
import { PackageRepository } from './packages/packages.ts';
import { ProjectRepository } from './projects/projects.ts';
import { DeploymentRepository, ReleaseRepository } from './projects/releases.ts';
import { RetentionRepository } from './retention.ts';
import { SettingRepository } from './settings.ts';
import { grownStreams, TaskEventRepository } from './tasks/task-stream.ts';
import { TaskRepository } from './tasks/tasks.ts';
import { TicketRepository } from './tasks/tickets.ts';
import { TokenRepository } from './nodes/tokens.ts';
import { VariableRepository } from './projects/variables.ts';
import type { Schema } from './schema.ts';
import { copyDatabase, keepCopyBefore } from './sqlite/copy.ts';
import { nodeSqliteDialect } from './sqlite/dialect.ts';
import { openDatabase } from './sqlite/open.ts';

export interface Repositories {
  readonly apiKeys: ApiKeyRepository;
  readonly contents: ContentRepository;
  readonly denials: DenialRepository;
  readonly deployments: DeploymentRepository;
  readonly environments: SiteOrEnvironmentRepository;
  readonly events: EventRepository;
  readonly idempotency: IdempotencyRepository;
  readonly installed: InstalledRepository;
  readonly logLines: LogLineRepository;
  readonly machines: MachineRepository;
  readonly mirrorPins: MirrorPinRepository;
  readonly nodes: NodeRepository;
  readonly taskEvents: TaskEventRepository;
  readonly outages: OutageRepository;
  readonly packages: PackageRepository;
  readonly packageSources: PackageSourceRepository;
  readonly projects: ProjectRepository;
  readonly releases: ReleaseRepository;
  readonly retention: RetentionRepository;
  readonly settings: SettingRepository;
  readonly sites: SiteOrEnvironmentRepository;
  readonly subscriptions: SubscriptionRepository;
  readonly tasks: TaskRepository;
  readonly tickets: TicketRepository;
  readonly tokens: TokenRepository;
  readonly variables: VariableRepository;
}

/** The repositories bound to one transaction. */
export interface StoreTransaction extends Repositories {
  /** The time of day by the clock as it was set when the transaction began: a later jump is for the next one. */
  now(): number;
}

export interface Store extends Repositories {
  /**
   * Runs `work` in one transaction: all of it is durable when this resolves, none of it when it rejects. Transactions
   * run one after the other, so keep them short: no network, no waiting.
   */
  transaction<Result>(work: (tx: StoreTransaction) => Promise<Result>): Promise<Result>;
  /**
   * Calls `listener` after every commit, with the tasks whose streams have grown: a hint to read again. Whoever relies
   * on it must also poll.
   */
  onCommit(listener: CommitListener): () => void;
  /** Calls `listener` after every commit that has appended events, with their types: a hint, like `onCommit`. */
  onEvents(listener: EventListener): () => void;
  /**
   * Calls `listener` with the rows of every commit that changed nodes or routes of machines, in commit order, before
   * the next transaction begins.
   */
  onMeshChange(listener: MeshChangeListener): () => void;
  /**
   * Calls `handler` in the first transaction after the clock of the machine was set, before that transaction's own
   * work, with the milliseconds by which it was set.
   */
  onClockSet(handler: ClockSetHandler): () => void;
  /** Writes a consistent copy of the whole database to a new file. */
  copyTo(file: string): Promise<void>;
  close(): Promise<void>;
}

export type EventListener = (types: ReadonlySet<EventType>) => void;

export type ClockSetHandler = (tx: StoreTransaction, byMs: number) => Promise<void>;

export type CommitListener = (grownStreams: ReadonlySet<string>) => void;

interface StoreOptions {
  readonly dataDir: string;
  readonly log: Logger;
  /** Others only in tests. */
  readonly migrations?: typeof MIGRATIONS;
}

/**
 * Opens the database of a data folder, which nothing else may have open, and migrates its schema; a copy from before is
 * kept (`sqlite/copy.ts`).
 */
export async function openStore({ dataDir, log, migrations = MIGRATIONS }: StoreOptions): Promise<Store> {
  const database = openDatabase(dataDir);
  const db = new Kysely<Schema>({ dialect: nodeSqliteDialect(database) });
  try {
    await migrate(db, migrations, (first) => keepCopyBefore(database, dataDir, first));
  } catch (thrown) {
    await db.destroy();
    throw thrown;
  }
  log.info({ dataDir }, 'store open');
  return createStore(db, {
    // Holds the only connection, because a step fails while a transaction is open on it.
    copyTo: (file) => db.connection().execute(() => copyDatabase(database, file)),
  });
}

interface StoreHooks {
  readonly copyTo: (file: string) => Promise<void>;
}

/** A store over a migrated database of any dialect. */
export function createStore(db: Kysely<Schema>, hooks: StoreHooks): Store {
  const inTransaction = new AsyncLocalStorage<true>();
  const listeners = new Set<CommitListener>();
  const eventListeners = new Set<EventListener>();
  const limiter = new DenialLimiter(DENIAL_LIMITS);
  const meshListeners = new Set<MeshChangeListener>();
  const clock = new ClockWatch();
  const clockHandlers = new Set<ClockSetHandler>();
  let closed: Promise<void> | undefined;
  // Inside a transaction any other use of the database would wait for that transaction, and so for ever.
  const assertOutside = () => {
    if (inTransaction.getStore()) throw new IsthmusError('INTERNAL', 'the store was used inside a transaction: use tx');
  };
  const transaction: Store['transaction'] = async (work) => {
    assertOutside();
    // Holds the connection until the listeners have run: they are up to date before the next transaction begins.
    return db.connection().execute(async (connection) => {
      const jumpMs = clock.jumpMs();
      const begun = async (tx: StoreTransaction) => {
        if (jumpMs !== 0) for (const handler of clockHandlers) await handler(tx, jumpMs);
        return work(tx);
      };
      const [answer, grown, appended, meshChange] = await connection.transaction().execute(async (tx) => {
        const now = () => clock.now(jumpMs);
        const value = await inTransaction.run(true, () => begun({ ...repositories(tx, limiter), now }));
        return [value, grownStreams(tx), appendedTypes(tx), await readMeshChange(tx)] as const;
      });
      clock.accept(jumpMs);
      if (meshChange !== undefined) for (const listener of meshListeners) listener(meshChange);
      for (const listener of listeners) listener(grown);
      if (appended !== undefined) for (const listener of eventListeners) listener(appended);
      return answer;
    });
  };
  return guarded(repositories(db, limiter), assertOutside, {
    transaction,
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onEvents(listener) {
      eventListeners.add(listener);
      return () => eventListeners.delete(listener);
    },
    onMeshChange(listener) {
      meshListeners.add(listener);
      return () => meshListeners.delete(listener);
    },
    onClockSet(handler) {
      clockHandlers.add(handler);
      return () => clockHandlers.delete(handler);
    },
    copyTo: hooks.copyTo,
    close() {
      closed ??= db.destroy();
      return closed;
    },
  });
}

/** Combines repositories and methods into a store; every access to a repository calls `check` first. */
function guarded(bound: Repositories, check: () => void, methods: Omit<Store, keyof Repositories>): Store {
  const store: Partial<Repositories> = {};
  for (const [name, repository] of Object.entries(bound)) {
    Object.defineProperty(store, name, {
      enumerable: true,
      get() {
        check();
        return repository as unknown;
      },
    });
  }
  return Object.assign(store as Repositories, methods);
}

function repositories(db: Executor, limiter: DenialLimiter): Repositories {
  return {
    apiKeys: new ApiKeyRepository(db),
    contents: new ContentRepository(db),
    denials: new DenialRepository(db, limiter),
    deployments: new DeploymentRepository(db),
    environments: new SiteOrEnvironmentRepository(db, 'environments'),
    events: new EventRepository(db),
    idempotency: new IdempotencyRepository(db),
    installed: new InstalledRepository(db),
    logLines: new LogLineRepository(db),
    machines: new MachineRepository(db),
    mirrorPins: new MirrorPinRepository(db),
    nodes: new NodeRepository(db),
    taskEvents: new TaskEventRepository(db),
    outages: new OutageRepository(db),
    packages: new PackageRepository(db),
    packageSources: new PackageSourceRepository(db),
    projects: new ProjectRepository(db),
    releases: new ReleaseRepository(db),
    retention: new RetentionRepository(db),
    settings: new SettingRepository(db),
    sites: new SiteOrEnvironmentRepository(db, 'sites'),
    subscriptions: new SubscriptionRepository(db),
    tasks: new TaskRepository(db),
    tickets: new TicketRepository(db),
    tokens: new TokenRepository(db),
    variables: new VariableRepository(db),
  };
}
