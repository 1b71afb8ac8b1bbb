// Upgrades one node: begins, follows its host through the restart, and confirms once the node answers with the new
// version and its machine is no worse than before. Without that the host goes back by itself, and the node says so.
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import type { GrpcClient } from '../../lib/grpc/client.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import type { UpgradeClient } from '../../proto/gen/isthmus/upgrade/v1/Upgrade.ts';
import type { UpgradeStatus__Output } from '../../proto/gen/isthmus/upgrade/v1/UpgradeStatus.ts';
import { checkHealth, type MachineHealth } from '../health/index.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { TaskContext } from '../tasks/context.ts';
import { tryRoutes } from '../tasks/execution/call-with-failover.ts';
import { endTicket, patchTicket, type TicketDeps } from '../tasks/execution/machine-run.ts';
import type { FindSources } from '../tasks/execution/package-ticket.ts';
import { cutShortEnd, errorPatch, failure, type TicketEnding } from '../tasks/execution/ticket-end.ts';
import { truncate } from '../tasks/execution/truncate.ts';
import type { UpgradeClients } from './clients.ts';
import { UpgradeMessages } from './messages.ts';
import type { UpgradePayload } from './request.ts';

export interface UpgradeTunables {
  /** Between two questions to a node. */
  readonly pollMs: number;
  /** For one call. Longer than a heartbeat timeout: a dead link ends the call earlier by itself. */
  readonly callDeadlineMs: number;
  /** How long a node may be unreachable before its upgrade begins: others wait for it. */
  readonly reachMs: number;
  /** The same for a node that may be left out: a restart takes seconds. */
  readonly leaveOutMs: number;
  /** A node that has just started serves upgrades after this; one that does not is too old. */
  readonly unservedMs: number;
  /** How long a node may be unreachable once its upgrade has begun. By then its host has gone back. */
  readonly silentMs: number;
  /** How long a host may take to begin what its node has ordered. */
  readonly orderMs: number;
  /** How long a host may stay in any later phase. */
  readonly phaseMs: number;
  /** How long another upgrade of the host is waited for. */
  readonly busyMs: number;
  /** How long a download without a source is repeated, if nothing arrives. */
  readonly noSourceMs: number;
  /** The host goes back without a confirmation for so long. */
  readonly confirmWithinS: number;
}

const DEFAULTS: UpgradeTunables = {
  pollMs: 1_000,
  callDeadlineMs: 15_000,
  reachMs: 120_000,
  leaveOutMs: 10_000,
  unservedMs: 15_000,
  silentMs: 300_000,
  orderMs: 120_000,
  phaseMs: 900_000,
  busyMs: 900_000,
  noSourceMs: 60_000,
  confirmWithinS: 120,
};

export interface UpgradeDeps {
  readonly upgradeClients: UpgradeClients;
  readonly findSources: FindSources;
  readonly nodes: ReadonlyMap<string, Pick<Node, 'role'>>;
  readonly upgradeTunables?: Partial<UpgradeTunables>;
}

/** The detail of an upgrade's ticket. */
interface UpgradeDetail {
  readonly version: string;
  /** What ran when it began. */
  readonly before: string;
  /** Of a tentacle: whether its machine was usable then. */
  readonly wasUsable?: boolean;
  /** The node did not have to be changed. */
  readonly already?: true;
  /** The source of the tarball. */
  readonly from?: string;
  readonly bytes?: number;
}

/** Failures of a download that may pass by themselves. */
const NO_SOURCE: ReadonlySet<string> = new Set<ErrorCode>(['PACKAGE_UNAVAILABLE', 'SOURCE_FAILED']);
/** Runs the ticket of one node to its end, also one that an earlier owner of the task has begun. Returns the ended row. */
export function upgradeNode(
  deps: UpgradeDeps,
  context: TaskContext,
  ticketDeps: TicketDeps,
  ticket: Ticket,
): Promise<Ticket> {
  return new NodeUpgradeRun(deps, context, ticketDeps, ticket).run();
}

type Client = GrpcClient<UpgradeClient>;
type Phase = UpgradeStatus__Output['phase'];
type Tried =
  | { readonly kind: 'answered'; readonly value: UpgradeStatus__Output }
  | { readonly kind: 'failed'; readonly error: IsthmusError };

class NodeUpgradeRun {
  readonly #deps: UpgradeDeps;
  readonly #context: TaskContext;
  readonly #ticketDeps: TicketDeps;
  readonly #tunables: UpgradeTunables;
  readonly #payload: UpgradePayload;
  readonly #node: string;
  #ticket: Ticket;
  #detail: UpgradeDetail;
  #phase: Phase = 'UPGRADE_PHASE_UNSPECIFIED';
  /** Of the monotonic clock, as all that follow. */
  #phaseSinceMs = performance.now();
  #answeredAtMs = performance.now();
  #busySinceMs: number | undefined;
  #noSourceSinceMs: number | undefined;
  /** Received when the download was last begun. */
  #bytesAtBegin = 0;
  readonly #messages: UpgradeMessages;

  constructor(deps: UpgradeDeps, context: TaskContext, ticketDeps: TicketDeps, ticket: Ticket) {
    this.#deps = deps;
    this.#context = context;
    this.#ticketDeps = ticketDeps;
    this.#tunables = { ...DEFAULTS, ...deps.upgradeTunables };
    this.#payload = context.task.payload as UpgradePayload;
    this.#node = ticket.target;
    this.#ticket = ticket;
    this.#messages = new UpgradeMessages(context, ticket);
    this.#detail = (ticket.detail as UpgradeDetail | null) ?? { version: this.#payload.version, before: '' };
  }

  async run(): Promise<Ticket> {
    try {
      const ending = this.#ticket.state === 'pending' ? await this.#prepare() : undefined;
      return await this.#end(ending ?? (await this.#follow()));
    } catch (thrown) {
      this.#context.halt.throwIfAborted();
      return this.#end({ state: 'failed', ...errorPatch(IsthmusError.from(thrown)) });
    }
  }

  /** Checks what must be so before the node is changed, and records that it may be. An ending when it is not so. */
  async #prepare(): Promise<TicketEnding | undefined> {
    const { version, tarballs } = this.#payload;
    const reached = await this.#firstAnswer();
    if ('state' in reached) return reached;
    const { softwareVersion: before, architecture, unsupported } = reached;
    if (compareVersions(before, version) === 0) {
      return { state: 'succeeded', detail: { version, before, already: true } satisfies UpgradeDetail };
    }
    if (unsupported !== '') return { state: 'failed', ...failure('UPGRADE_UNSUPPORTED', unsupported, this.#node) };
    if (tarballs.every((tarball) => tarball.architecture !== architecture)) {
      const detail = `its host is ${architecture}, and there is no tarball for that`;
      return { state: 'failed', ...failure('SOFTWARE_ARCHITECTURE', detail, this.#node) };
    }
    const health = await this.#health();
    const wasUsable = health === undefined ? {} : { wasUsable: isUsable(health) };
    this.#detail = { version, before, ...wasUsable };
    await this.#context.assertOwned();
    const now = Date.now();
    // Nothing is to be completed at a node, whatever becomes of it.
    const sent = { state: 'sent', startedAt: now, completedAt: now, detail: this.#detail } as const;
    this.#ticket = await patchTicket(this.#context, this.#ticket.id, sent);
    return undefined;
  }

  /** The first answer of the node, or the ending when there is none in time. */
  async #firstAnswer(): Promise<UpgradeStatus__Output | TicketEnding> {
    const { finish } = this.#context;
    const { unservedMs, pollMs } = this.#tunables;
    const reachMs = this.#payload.unreachable === 'skip' ? this.#tunables.leaveOutMs : this.#tunables.reachMs;
    const sinceMs = performance.now();
    let lastError: IsthmusError | undefined;
    while (!finish.aborted) {
      const tried = await this.#try([finish], (client) => this.#statusOf(client, ''));
      if (tried.kind === 'answered') return tried.value;
      if (finish.aborted) break;
      lastError = tried.error;
      const { code, hop } = lastError;
      const waitedMs = performance.now() - sinceMs;
      if (code === 'SERVICE_UNKNOWN' && hop === this.#node && waitedMs >= unservedMs) {
        const detail = 'its software is too old to be upgraded by the mesh';
        return { state: 'failed', ...failure('UPGRADE_UNSUPPORTED', detail, this.#node) };
      }
      if (waitedMs >= reachMs) return this.#unreachedEnd(lastError);
      await this.#messages.warn(`${lastError.message}; trying again`, lastError);
      await pause(pollMs, this.#context.halt, finish);
    }
    this.#context.halt.throwIfAborted();
    return cutShortEnd(this.#context, lastError);
  }

  /** A canary that was named is never left out: it is to show that the version works. */
  #unreachedEnd(error: IsthmusError): TicketEnding {
    const { canary, unreachable } = this.#payload;
    if (this.#node !== canary) return { state: unreachable === 'skip' ? 'skipped' : 'failed', ...errorPatch(error) };
    const detail = `the canary does not answer: ${error.message} (${error.code})`;
    return { state: 'failed', ...failure('UPGRADE_CANARY_UNREACHABLE', detail, error.hop) };
  }

  /** Follows the upgrade to its end. */
  async #follow(): Promise<TicketEnding> {
    for (;;) {
      const ending = await this.#look();
      if (ending !== undefined) return ending;
      await pause(this.#tunables.pollMs, this.#context.halt);
    }
  }

  async #look(): Promise<TicketEnding | undefined> {
    try {
      const tried = await this.#try([], async (client) => {
        const status = await this.#statusOf(client, this.#ticket.id);
        if (!this.#mayBegin(status)) return status;
        if (status.phase === 'FAILED') await this.#messages.warn(`${status.detail}; trying again`);
        return this.#begin(client, status);
      });
      if (tried.kind === 'failed') return await this.#onSilence(tried.error);
      [this.#busySinceMs, this.#answeredAtMs] = [undefined, performance.now()];
      return await this.#judge(tried.value);
    } catch (thrown) {
      this.#context.halt.throwIfAborted();
      const error = IsthmusError.from(thrown);
      if (error.code === 'UPGRADE_BUSY') return this.#onBusy(error);
      throw error;
    }
  }

  /** Whether the upgrade is to begin, at first or once more. */
  #mayBegin({ phase, code, receivedBytes }: UpgradeStatus__Output): boolean {
    if (this.#context.finish.aborted) return false;
    if (phase === 'UPGRADE_PHASE_UNSPECIFIED') return true;
    if (phase !== 'FAILED' || !NO_SOURCE.has(code)) return false;
    if (receivedBytes > this.#bytesAtBegin) this.#noSourceSinceMs = undefined;
    this.#noSourceSinceMs ??= performance.now();
    return performance.now() - this.#noSourceSinceMs < this.#tunables.noSourceMs;
  }

  async #begin(client: Client, { architecture, receivedBytes }: UpgradeStatus__Output): Promise<UpgradeStatus__Output> {
    const { tarballs, sums, signature } = this.#payload;
    const tarball = tarballs.find((each) => each.architecture === architecture);
    if (tarball === undefined) {
      throw new IsthmusError('SOFTWARE_ARCHITECTURE', `there is no tarball for ${architecture}`, { hop: this.#node });
    }
    this.#bytesAtBegin = receivedBytes;
    const { sources, downloadToken } = await this.#deps.findSources(this.#node, tarball.sha256);
    await this.#context.assertOwned();
    const request = {
      ...{ id: this.#ticket.id, tarball: tarball.name, sizeBytes: tarball.sizeBytes, sums },
      signature: Buffer.from(signature, 'base64'),
      ...{ sources: [...sources], downloadToken, confirmWithinS: this.#tunables.confirmWithinS },
    };
    const status = await client.unary<UpgradeStatus__Output>((c, o, done) => c.begin(request, o, done), this.#limits());
    return truncate(status);
  }

  async #judge(status: UpgradeStatus__Output): Promise<TicketEnding | undefined> {
    const { phase, code, detail, softwareVersion } = status;
    const { version } = this.#payload;
    const { before } = this.#detail;
    await this.#note(status);
    switch (phase) {
      case 'UPGRADE_PHASE_UNSPECIFIED':
        return cutShortEnd(this.#context);
      case 'ALREADY_THERE':
        return { state: 'succeeded', detail: { ...this.#detail, already: true } satisfies UpgradeDetail };
      case 'FETCHING':
        return this.#context.finish.aborted ? this.#withdraw(cutShortEnd(this.#context)) : undefined;
      case 'ORDERED': {
        if (this.#context.finish.aborted) return this.#withdraw(cutShortEnd(this.#context));
        if (performance.now() - this.#phaseSinceMs < this.#tunables.orderMs) return undefined;
        const why = 'its host has not begun to carry the order out';
        return this.#withdraw({ state: 'failed', ...failure('UPGRADE_NOT_TAKEN', why, this.#node) });
      }
      case 'AWAITING_CONFIRMATION':
        if (compareVersions(softwareVersion, version) === 0) await this.#confirmIfUsable();
        return this.#stuck();
      case 'UNPACKING':
      case 'RESTARTING':
      case 'GOING_BACK':
        return this.#stuck();
      case 'CONFIRMED':
        if (compareVersions(softwareVersion, version) === 0) return { state: 'succeeded', detail: this.#detail };
        return this.#stuck();
      case 'WENT_BACK': {
        const why = code === 'UPGRADE_NOT_CONFIRMED' ? (this.#messages.warning ?? detail) : detail;
        return { state: 'failed', ...failure(code, `went back to ${before}: ${why}`, this.#node) };
      }
      case 'FAILED':
        return { state: 'failed', ...failure(code, detail, this.#node) };
    }
  }

  /** The end of a host that stays in a phase for too long. */
  #stuck(): TicketEnding | undefined {
    if (performance.now() - this.#phaseSinceMs < this.#tunables.phaseMs) return undefined;
    const minutes = Math.round(this.#tunables.phaseMs / 60_000);
    const detail = `its host is in the phase ${this.#phase} for ${minutes} minutes`;
    return { state: 'failed', ...failure('UPGRADE_NOT_CONFIRMED', detail, this.#node) };
  }

  async #confirmIfUsable(): Promise<void> {
    const health = await this.#health();
    // One that was unusable before need only answer.
    const wasUsable = this.#detail.wasUsable !== false;
    const isEnough = health === undefined || isUsable(health) || (!wasUsable && health.health !== 'unreachable');
    if (!isEnough) {
      const why = health.reasons.map(({ text }) => text).join('; ');
      return this.#messages.warn(`not confirmed while its machine is ${health.health}: ${why}`);
    }
    await this.#try([], async (client) => {
      const { id } = this.#ticket;
      return client.unary<UpgradeStatus__Output>((c, o, done) => c.confirm({ id }, o, done), this.#limits());
    });
  }

  /** Ends an upgrade before its host has begun; `ending` when it did so. */
  async #withdraw(ending: TicketEnding): Promise<TicketEnding | undefined> {
    const { id } = this.#ticket;
    const tried = await this.#try([], (client) =>
      client.unary<UpgradeStatus__Output>((c, o, done) => c.withdraw({ id }, o, done), this.#limits()),
    );
    return tried.kind === 'answered' && tried.value.phase === 'UPGRADE_PHASE_UNSPECIFIED' ? ending : undefined;
  }

  /** A tentacle's health now; undefined for other nodes. */
  async #health(): Promise<MachineHealth | undefined> {
    if (this.#deps.nodes.get(this.#node)?.role !== 'tentacle') return undefined;
    const machine = await this.#ticketDeps.store.machines.find(this.#node);
    return machine && checkHealth(this.#ticketDeps, machine, this.#context.halt);
  }

  async #onSilence(error: IsthmusError): Promise<TicketEnding | undefined> {
    this.#context.halt.throwIfAborted();
    const silentMs = performance.now() - this.#answeredAtMs;
    if (silentMs < this.#tunables.silentMs) {
      // A restart takes seconds.
      if (silentMs >= this.#tunables.silentMs / 10) await this.#messages.warn(`no answer: ${error.message}`, error);
      return undefined;
    }
    const detail = `it has not answered for ${Math.round(silentMs / 1000)} s: ${error.message}`;
    const code = error.code === 'NODE_CLONED' ? error.code : 'UNREACHABLE';
    return { state: 'failed', ...failure(code, detail, error.hop ?? this.#node) };
  }

  async #onBusy(error: IsthmusError): Promise<TicketEnding | undefined> {
    if (this.#context.finish.aborted) return this.#withdraw(cutShortEnd(this.#context));
    // What is ordered waits for another upgrade of the host.
    [this.#answeredAtMs, this.#phaseSinceMs] = [performance.now(), performance.now()];
    this.#busySinceMs ??= performance.now();
    if (performance.now() - this.#busySinceMs >= this.#tunables.busyMs) throw error;
    await this.#messages.warn(`waits: ${error.message}`);
    return undefined;
  }

  /** Takes note of an answer, and tells what is new in it. */
  async #note(status: UpgradeStatus__Output): Promise<void> {
    const { phase, from, totalBytes: bytes } = status;
    if (from !== '') this.#detail = { ...this.#detail, from, bytes };
    const isNew = phase !== this.#phase;
    if (isNew) [this.#phase, this.#phaseSinceMs] = [phase, performance.now()];
    await this.#messages.status(status, this.#detail, isNew);
    if (this.#ticket.state === 'sent') {
      this.#ticket = await patchTicket(this.#context, this.#ticket.id, { state: 'running' });
    }
  }

  #end(ending: TicketEnding): Promise<Ticket> {
    const { before, version } = this.#detail;
    const outline = { task: this.#context.task.id, version, before };
    const { errorCode: code = null, errorDetail: detail = null } = ending;
    const wasChanged = this.#ticket.state !== 'pending';
    return endTicket(this.#context, this.#ticket.id, { detail: this.#detail, ...ending }, async (tx) => {
      if (!wasChanged) return;
      const of = { actor: 'system', subject: this.#node };
      if (ending.state === 'succeeded') await tx.events.append({ ...of, type: 'node.upgraded', data: outline });
      if (ending.state !== 'failed') return;
      const type = this.#phase === 'WENT_BACK' ? 'node.upgrade-went-back' : 'node.upgrade-failed';
      await tx.events.append({ ...of, type, data: { ...outline, code, detail } });
    });
  }

  #statusOf(client: Client, id: string): Promise<UpgradeStatus__Output> {
    const asked = client.unary<UpgradeStatus__Output>((c, o, done) => c.status({ id }, o, done), this.#limits());
    return asked.then(truncate);
  }

  #limits() {
    return { deadlineMs: this.#tunables.callDeadlineMs, signal: this.#context.halt };
  }

  async #try(
    signals: readonly AbortSignal[],
    call: (client: Client) => Promise<UpgradeStatus__Output>,
  ): Promise<Tried> {
    const { upgradeClients: clients } = this.#deps;
    const { routesOf } = this.#ticketDeps;
    const routes = () => routesOf(this.#node);
    return tryRoutes({ clients, node: this.#node, routes, signals: [this.#context.halt, ...signals] }, call);
  }
}

function isUsable({ health }: MachineHealth): boolean {
  return health === 'healthy' || health === 'warning';
}
