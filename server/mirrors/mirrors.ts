// Asks mirrors, and gives them orders. Map of this folder:
//   clients.ts   calls mirrors            scope.ts      which sites get which packages of a release
//   warming.ts   accepts a warming        warm-run.ts   the task kind: has mirrors fetch
//   pins.ts      what people pinned       protection.ts tells mirrors what they must keep
//   window.ts    when it may fetch        automatic.ts  warms by itself, as projects say
//   readiness.ts which sites have what
import { IsthmusError } from '../../contract/errors.ts';
import type { CallOptions, ClientUnaryCall, requestCallback } from '@grpc/grpc-js';
import { newId } from '../../lib/ids.ts';
import { messageCodec, loadDefinitions } from '../../lib/grpc/load.ts';
import { whenAborted } from '../../lib/async/waiting.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import { compareText } from '../../lib/text/compare.ts';
import type { CollectResponse__Output } from '../../proto/gen/isthmus/mirror/v1/CollectResponse.ts';
import type { KeepPayload } from '../../proto/gen/isthmus/mirror/v1/KeepPayload.ts';
import type { KeepResponse__Output } from '../../proto/gen/isthmus/mirror/v1/KeepResponse.ts';
import type { VerifyResponse__Output } from '../../proto/gen/isthmus/mirror/v1/VerifyResponse.ts';
import type { EnvelopeRequest } from '../../proto/gen/isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { ListRequest } from '../../proto/gen/isthmus/mirror/v1/ListRequest.ts';
import type { MirrorClient } from '../../proto/gen/isthmus/mirror/v1/Mirror.ts';
import type { MirrorStatus__Output } from '../../proto/gen/isthmus/mirror/v1/MirrorStatus.ts';
import type { StoredPackages__Output } from '../../proto/gen/isthmus/mirror/v1/StoredPackages.ts';
import type { WarmProgress__Output } from '../../proto/gen/isthmus/mirror/v1/WarmProgress.ts';
import type { EnvelopeContent } from '../../certs/signer.ts';
import type { Fence } from '../store/base.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { tryRoutes, type NodeCall } from '../tasks/execution/call-with-failover.ts';
import type { SignEnvelope } from '../tasks/execution/envelopes.ts';
import { truncate } from '../tasks/execution/truncate.ts';
import type { RoutesOf } from '../tasks/routes.ts';
import type { LiveTopology } from '../topology/live.ts';
import type { MirrorClients } from './clients.ts';

export interface MirrorsDeps {
  readonly topology: Pick<LiveTopology, 'nodes'>;
  readonly clients: MirrorClients;
  readonly routesOf: RoutesOf;
  readonly sign: SignEnvelope;
}

/** A package by its bytes. */
export interface Blob {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** The order of one ticket to fetch a package. */
export interface WarmOrder extends Blob {
  readonly ticket: string;
  readonly fence: Fence;
  readonly maxBytesPerS?: number | undefined;
  readonly signals: readonly AbortSignal[];
  readonly onProgress: (progress: WarmProgress__Output) => Promise<void>;
}

/** Mirrors of earlier versions do not serve the service `mirror`. */
const FIRST_VERSION = '0.2.0-0';
/** For one question. A dead link ends it earlier by itself. */
const CALL_DEADLINE_MS = 15_000;
/** Bounds one sending of an order. */
const ORDER_VALID_FOR_MS = 120_000;

const types = loadDefinitions('isthmus/mirror/v1/mirror.proto').isthmus.mirror.v1;
const warmPayload = messageCodec(types.WarmPayload);
const keepPayload = messageCodec(types.KeepPayload);
const verifyPayload = messageCodec(types.VerifyPayload);
const collectPayload = messageCodec(types.CollectPayload);
/** Digesting takes about a second per gigabyte, and longer on a slow disk. */
const VERIFY_DEADLINE_MS = 30 * 60_000;

export class Mirrors {
  readonly #deps: MirrorsDeps;

  constructor(deps: MirrorsDeps) {
    this.#deps = deps;
  }

  /** The active mirrors of the mesh, by id. */
  all(): readonly Node[] {
    const nodes = [...this.#deps.topology.nodes.values()];
    return nodes
      .filter(({ role, state }) => role === 'mirror' && state === 'active')
      .toSorted((a, b) => compareText(a.id, b.id));
  }

  /** NOT_FOUND unless there is an active mirror of that id. */
  get(id: string): Node {
    const node = this.#deps.topology.nodes.get(id);
    if (node?.role === 'mirror' && node.state === 'active') return node;
    throw new IsthmusError('NOT_FOUND', `there is no active mirror ${id}`, {
      action: { code: 'CHOOSE_EXISTING', arguments: { kind: 'node' } },
    });
  }

  /** How it is, as it says itself. MIRROR_UNSUPPORTED for one of an earlier version, as every call. */
  async status(id: string): Promise<MirrorStatus__Output> {
    return truncate(
      await this.#ask<MirrorStatus__Output>(id, (client, limits) =>
        client.unary<MirrorStatus__Output>((c, options, done) => c.status({}, options, done), limits),
      ),
    );
  }

  /** A page of what is in its cache, by digest, after one of them. */
  list(
    id: string,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<StoredPackages__Output> {
    return this.#list(id, { after: page.after ?? '', limit: page.limit });
  }

  /** The ids of those that answer. */
  answering(): readonly string[] {
    return this.all()
      .filter(serves)
      .map(({ id }) => id);
  }

  /** Replaces what it must not evict. */
  async keep(id: string, kept: KeepPayload): Promise<void> {
    await this.#order<KeepResponse__Output>(id, { kind: 'keep', payload: keepPayload.encode(kept) }, (c, ...call) =>
      c.keep(...call),
    );
  }

  /** Has it digest all its packages, and with `repair` fetch damaged ones again. */
  async verify(id: string, repair: boolean): Promise<VerifyResponse__Output> {
    const order = {
      kind: 'verify',
      payload: verifyPayload.encode({ repair }),
      deadlineMs: VERIFY_DEADLINE_MS,
    } as const;
    return truncate(await this.#order<VerifyResponse__Output>(id, order, (c, ...call) => c.verify(...call)));
  }

  /** Has it remove what need not stay; with `dryRun`, say what that would be. */
  async collect(id: string, dryRun: boolean): Promise<CollectResponse__Output> {
    const order = { kind: 'collect', payload: collectPayload.encode({ dryRun }) } as const;
    return truncate(await this.#order<CollectResponse__Output>(id, order, (c, ...call) => c.collect(...call)));
  }

  /** Which of these packages it has. */
  async has(id: string, wanted: readonly string[]): Promise<ReadonlySet<string>> {
    const { packages } = await this.#list(id, { sha256: [...wanted] });
    return new Set(packages.map(({ sha256 }) => sha256));
  }

  /** Has it fetch a package; resolves once it is there. Throws what the mirror answers, or why nothing reaches it. */
  async warm(id: string, order: WarmOrder): Promise<{ readonly cached: boolean }> {
    const { sha256, sizeBytes, maxBytesPerS = 0, ticket, fence, signals, onProgress } = order;
    const { kind, payload } = {
      kind: 'warm',
      payload: warmPayload.encode({ sha256, sizeBytes, maxBytesPerS }),
    } as const;
    return this.#call(id, signals, async (client) => {
      const envelope = this.#envelope(id, { kind, payload, ticket, ...fence });
      const call = (await client.ready()).warm({ envelope });
      call.on('error', () => undefined);
      const unsubscribes = signals.map((signal) => whenAborted(signal, () => call.cancel()));
      try {
        for await (const progress of call as AsyncIterable<WarmProgress__Output>) {
          if (progress.done) return { cached: progress.cached };
          await onProgress(progress);
        }
      } catch (thrown) {
        throw client.errorOf(thrown);
      } finally {
        for (const unsubscribe of unsubscribes) unsubscribe();
        call.cancel();
      }
      throw new IsthmusError('UNREACHABLE', 'the fetch ended without a result', { hop: id });
    });
  }

  #list(id: string, request: ListRequest): Promise<StoredPackages__Output> {
    return this.#ask<StoredPackages__Output>(id, (client, limits) =>
      client.unary<StoredPackages__Output>((c, options, done) => c.list(request, options, done), limits),
    );
  }

  #envelope(tentacle: string, content: Omit<EnvelopeContent, 'tentacle' | 'expiresAtMs'>) {
    return this.#deps.sign({ ...content, tentacle, expiresAtMs: Date.now() + ORDER_VALID_FOR_MS });
  }

  /** Gives an order that is not part of a task. */
  #order<Result>(
    id: string,
    { kind, payload, deadlineMs = CALL_DEADLINE_MS }: Order,
    call: (
      client: MirrorClient,
      request: EnvelopeRequest,
      options: CallOptions,
      done: requestCallback<Result>,
    ) => ClientUnaryCall,
  ): Promise<Result> {
    const envelope = this.#envelope(id, { kind, payload, ticket: newId(), task: '', epoch: 0 });
    return this.#call(id, [], (client) =>
      client.unary<Result>((c, options, done) => call(c, { envelope }, options, done), { deadlineMs }),
    );
  }

  #ask<Result>(
    id: string,
    call: (
      client: Parameters<NodeCall<Result, MirrorClient>>[0],
      limits: { readonly deadlineMs: number },
    ) => Promise<Result>,
  ): Promise<Result> {
    return this.#call(id, [], (client) => call(client, { deadlineMs: CALL_DEADLINE_MS }));
  }

  async #call<Result>(
    id: string,
    signals: readonly AbortSignal[],
    call: NodeCall<Result, MirrorClient>,
  ): Promise<Result> {
    assertServes(this.get(id));
    const { clients, routesOf } = this.#deps;
    const tried = await tryRoutes({ clients, node: id, routes: () => routesOf(id), signals }, call);
    if (tried.kind === 'failed') throw tried.error;
    return tried.value;
  }
}

/** What a signed order says. */
interface Order {
  readonly kind: 'keep' | 'verify' | 'collect';
  readonly payload: Buffer;
  readonly deadlineMs?: number;
}

function serves({ softwareVersion }: Node): boolean {
  return softwareVersion !== null && compareVersions(softwareVersion, FIRST_VERSION) >= 0;
}

/** MIRROR_UNSUPPORTED for a mirror whose version lacks the service, UNREACHABLE for one that has never reported it. */
function assertServes(node: Node): void {
  if (serves(node)) return;
  const { id, softwareVersion } = node;
  if (softwareVersion === null) throw new IsthmusError('UNREACHABLE', `${id} has not reported yet`, { hop: id });
  throw new IsthmusError('MIRROR_UNSUPPORTED', `${id} runs ${softwareVersion}, which does not answer this`, {
    hop: id,
  });
}
