// The tentacle's gRPC service. Every method is for servers only. Every order to run, fetch, switch or end something
// needs a signed envelope; without one a server can only read, and complete a script that has ended.
import { once } from 'node:events';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { PeerIdentity } from '../certs/peer.ts';
import type { EnvelopeKind } from '../certs/signer.ts';
import { IsthmusError } from '../contract/errors.ts';
import { loadDefinitions } from '../lib/grpc/load.ts';
import type { AsyncHandlers, GrpcHost, MethodAccess } from '../lib/grpc/server.ts';
import { whenAborted } from '../lib/async/waiting.ts';
import type { Envelope__Output } from '../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { EnvelopeBody__Output } from '../proto/gen/isthmus/tentacle/v1/EnvelopeBody.ts';
import type { LogBatch } from '../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import type { LogRequest__Output } from '../proto/gen/isthmus/tentacle/v1/LogRequest.ts';
import type { TentacleHandlers } from '../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import type { HealthReporter } from './health.ts';
import { LogSender } from './logs/stream.ts';
import type { ScriptEngine, TicketKey } from './scripts/engine.ts';
import { decodePayload } from './scripts/payload.ts';
import type { StatusMessage } from './scripts/run/status.ts';

type Handlers = AsyncHandlers<TentacleHandlers, PeerIdentity>;
/** The package methods; tentacle/packages implements them. */
export type PackageHandlers = Pick<Handlers, 'AcquirePackage' | 'StagePackage' | 'ActivatePackage' | 'SettlePackage'>;
/** Verifies signature, recipient and kind of a signed order, and returns its content; throws when one is wrong. */
export type OpenEnvelope = (envelope: Envelope__Output | null, kind: EnvelopeKind) => EnvelopeBody__Output;

type LogCall = ServerDuplexStream<LogRequest__Output, LogBatch>;

const definition = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1.Tentacle.service;
const SERVERS_ONLY: MethodAccess = { roles: ['server'] };

export interface TentacleServiceParts {
  readonly engine: ScriptEngine;
  readonly openEnvelope: OpenEnvelope;
  readonly health: HealthReporter;
  readonly packages: PackageHandlers;
  /** Ends the package work of a cancelled ticket. */
  readonly withdrawPackage: (ticket: string) => void;
}

/** Registers the Tentacle service on a host. */
export function addTentacleService(host: GrpcHost<PeerIdentity>, parts: TentacleServiceParts): void {
  const { engine, openEnvelope, health, packages, withdrawPackage } = parts;
  const start: StartByEnvelope = async (envelope) => {
    const { ticket, task, epoch, expiresAtMs, payload } = openEnvelope(envelope, 'script');
    const status = await engine.start({ ticket, task, epoch, expiresAtMs, payload: decodePayload(payload) });
    return { key: { ticket, task, epoch }, status };
  };
  const handlers: Handlers = {
    ...packages,
    RunScript: (call) => runScript(call, { engine, start }),
    GetScript: ({ request }) => engine.status(request),
    CancelScript: async ({ request }) => {
      const key = openEnvelope(request.envelope, 'cancel');
      const status = await engine.cancel(key);
      withdrawPackage(key.ticket);
      return status;
    },
    CompleteScript: ({ request }) => engine.complete(request),
    StreamLogs: (call) => streamLogs(call, engine),
    CheckHealth: () => health.report(),
  };
  host.add<TentacleHandlers>(definition, handlers, {
    RunScript: SERVERS_ONLY,
    GetScript: SERVERS_ONLY,
    StreamLogs: SERVERS_ONLY,
    CancelScript: SERVERS_ONLY,
    CompleteScript: SERVERS_ONLY,
    AcquirePackage: SERVERS_ONLY,
    StagePackage: SERVERS_ONLY,
    ActivatePackage: SERVERS_ONLY,
    SettlePackage: SERVERS_ONLY,
    CheckHealth: SERVERS_ONLY,
  });
}

interface Started {
  readonly key: TicketKey;
  readonly status: StatusMessage;
}

type StartByEnvelope = (envelope: Envelope__Output | null) => Promise<Started>;

async function runScript(
  call: LogCall,
  { engine, start }: { readonly engine: ScriptEngine; readonly start: StartByEnvelope },
): Promise<void> {
  const gone = whenGone(call);
  const first = await firstRequest(call);
  if (first === undefined) return;
  const { key, status } = await start(first.start);
  await write(call, { ticket: key.ticket, firstLine: 0, lines: [], started: status });
  await sendLog(call, engine, { ...key, afterLine: first.afterLine, neverStart: false }, gone);
}

async function streamLogs(call: LogCall, engine: ScriptEngine): Promise<void> {
  const gone = whenGone(call);
  const first = await firstRequest(call);
  if (first !== undefined) await sendLog(call, engine, first, gone);
}

interface WantedLog extends TicketKey {
  readonly afterLine: number;
  readonly neverStart: boolean;
}

/** Sends a log, takes acknowledgements, and completes the ticket when the server requests it. */
async function sendLog(call: LogCall, engine: ScriptEngine, first: WantedLog, gone: AbortSignal): Promise<void> {
  const sender = new LogSender(await engine.log(first, first), first.afterLine, {
    send: (batch) => write(call, batch),
  });
  const unsubscribe = engine.epochs.onEpoch((task, epoch) => {
    if (task !== first.task || epoch <= first.epoch) return;
    sender.fail(new IsthmusError('STALE_EPOCH', `task ${task} was taken over with epoch ${epoch}`));
  });
  const completed = Promise.withResolvers<boolean>();
  call.on('data', (request: LogRequest__Output) => {
    if (!sameTicket(first, request)) {
      return sender.fail(new IsthmusError('TICKET_UNKNOWN', `this stream is for ticket ${first.ticket}`));
    }
    sender.acknowledge(request.acknowledgedLine);
    if (request.complete) completed.resolve(true);
  });
  // A server that does not complete on the stream calls CompleteScript.
  call.on('end', () => completed.resolve(false));
  whenAborted(gone, () => {
    sender.stop();
    completed.resolve(false);
  });
  call.resume();
  try {
    await sender.run();
    if (await completed.promise) {
      const end = await engine.complete(first);
      await write(call, { ticket: first.ticket, firstLine: end.lastLine + 1, lines: [], end });
    }
  } finally {
    unsubscribe();
  }
  call.end();
}

function sameTicket(first: TicketKey, later: TicketKey): boolean {
  return later.ticket === first.ticket && later.task === first.task && later.epoch === first.epoch;
}

/** Aborts when the caller is lost. Call it first: the caller may be lost while its script starts. */
function whenGone(call: LogCall): AbortSignal {
  const gone = new AbortController();
  for (const event of ['cancelled', 'error', 'close'] as const) call.on(event, () => gone.abort());
  if (call.cancelled || call.destroyed) gone.abort();
  return gone.signal;
}

/** The request that names the ticket; undefined when the caller hung up before it. */
async function firstRequest(call: LogCall): Promise<LogRequest__Output | undefined> {
  return new Promise((resolve) => {
    call.once('data', (request: LogRequest__Output) => {
      call.pause();
      resolve(request);
    });
    call.once('end', () => resolve(undefined));
    call.once('cancelled', () => resolve(undefined));
  });
}

/** Writes, and waits while the stream is full. A closed stream ignores the write. */
async function write(call: LogCall, batch: LogBatch): Promise<void> {
  if (call.cancelled || call.destroyed || call.write(batch)) return;
  const done = new AbortController();
  const { signal } = done;
  const events = ['drain', 'cancelled', 'close'] as const;
  await Promise.race(events.map((event) => once(call, event, { signal }).catch(() => undefined)));
  done.abort();
}
