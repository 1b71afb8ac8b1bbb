// A tentacle that speaks the real wire and misbehaves when it is told to: it loses replies, stalls logs, cuts
// connections, answers for other tickets. It starts nothing; a script is a few words of its own:
//   say TEXT (with $NAMES of its env) · many N (lines "line 1".."line N") · hold (until `proceed`) · exit N
// As the real one it starts a ticket once, keeps the highest epoch per task, and forgets lines once acknowledged.
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { IsthmusError } from '../../contract/errors.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type StreamPeer } from '../../lib/grpc/server.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { EnvelopeContent } from '../../certs/signer.ts';
import type { DialOptions } from '../../mesh/types.ts';
import type { AcquireProgress } from '../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { Envelope, Envelope__Output } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { EnvelopeBody__Output } from '../../proto/gen/isthmus/tentacle/v1/EnvelopeBody.ts';
import type { HealthReport } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { LogBatch } from '../../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import type { LogRequest__Output } from '../../proto/gen/isthmus/tentacle/v1/LogRequest.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { ScriptPayload__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { ScriptStatus } from '../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleHandlers } from '../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';

const types = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;
const bodies = messageCodec(types.EnvelopeBody);
const scriptPayloads = messageCodec(types.ScriptPayload);
const packagePayloads = messageCodec(types.PackagePayload);

/** An envelope without signatures: who may sign is tested elsewhere. */
export function unsigned(content: EnvelopeContent): Envelope {
  return { body: bodies.encode({ ...content, payloadSha256: Buffer.alloc(32) }) };
}

/** What a stalled call waits for. */
const forever = new Promise<never>(() => undefined);

class FakeScript {
  readonly ticket: string;
  readonly payload: ScriptPayload__Output;
  readonly lines: string[] = [];
  phase: NonNullable<ScriptStatus['phase']> = 'RUNNING';
  exitCode = 0;
  signal = 0;
  /** Lines up to this one were acknowledged, and are gone. */
  forgotten = 0;
  acknowledgements: number[] = [];
  readonly #watchers = new Set<() => void>();
  /** Has the script end with an error that says this. */
  errorDetail = '';
  readonly #proceeding = Promise.withResolvers<void>();

  constructor(ticket: string, payload: ScriptPayload__Output) {
    this.ticket = ticket;
    this.payload = payload;
  }

  get ended(): boolean {
    return this.phase !== 'RUNNING';
  }

  async run(): Promise<void> {
    for (const word of this.payload.body.split('\n')) {
      if (this.ended) return;
      const [verb = '', ...rest] = word.trim().split(' ');
      if (verb === 'say') this.lines.push(this.#expand(rest.join(' ')));
      if (verb === 'many') for (let n = 1; n <= Number(rest[0]); n += 1) this.lines.push(`line ${n}`);
      if (verb === 'hold') {
        this.changed();
        await this.#proceeding.promise;
      }
      if (verb === 'exit') this.exitCode = Number(rest[0]);
      if (verb === 'kill') this.#killed(Number(rest[0]));
    }
    if (!this.ended) this.phase = 'EXITED';
    this.changed();
  }

  #killed(signal: number): void {
    this.signal = signal;
    this.exitCode = 128 + signal;
  }

  #expand(text: string): string {
    return text.replaceAll(/\$([A-Z_]+)/g, (_, name: string) => this.payload.env[name] ?? '');
  }

  /** Says more, as it is: this tentacle masks nothing. */
  print(lines: readonly string[]): void {
    this.lines.push(...lines);
    this.changed();
  }

  proceed(): void {
    this.#proceeding.resolve();
  }

  cancel(): void {
    if (this.ended) return;
    this.phase = 'CANCELLED';
    this.#killed(15);
    this.changed();
  }

  status(): ScriptStatus {
    const { ticket, phase, exitCode, signal, lines, errorDetail } = this;
    const error = errorDetail === '' ? {} : { errorCode: 'DISK_FULL', errorDetail };
    return { ticket, phase, exitCode, signal, lastLine: lines.length, ...error };
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  changed(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

export class FakeTentacle {
  readonly name: string;
  readonly scripts = new Map<string, FakeScript>();
  /** The witness: every start that really happened, in order. */
  readonly starts: string[] = [];
  readonly completed: string[] = [];
  readonly cancels: string[] = [];
  /** Every package call that was answered: `acquire web 1.0.0`. */
  readonly packageCalls: string[] = [];
  /** What was to be made of each package that was acquired. */
  readonly acquired: object[] = [];
  /** The next so many starts happen, and their replies are lost with the connection. */
  loseStartReplies = 0;
  /** The next so many starts are denied: it has no descriptor left. */
  rejectStarts = 0;
  /** Starts are held up on their way, and come in at `deliverHeld`. */
  holdStarts = false;
  readonly #held: (Envelope__Output | null)[] = [];
  /** Whether a cancel uses up a ticket that is not known. */
  consumesUnknown = true;
  readonly #consumed = new Set<string>();
  /** Log batches have this many lines. */
  batchLines = 100;
  /** Each batch begins so many lines before the end of the last one. */
  overlap = 0;
  /** Each batch claims to begin so many lines later than it does. */
  gap = 0;
  /** Completes a ticket when it is asked to on the stream of its log, as older tentacles do not. */
  completesOnStream = false;
  /** Tickets that it calls running still, whatever it is told. */
  readonly stillRuns = new Set<string>();
  /** The stream that its lines are of. */
  stream = 'stdout';
  /** Calls of CompleteScript. */
  completionCalls = 0;
  /** Sends no log while true. */
  stallLogs = false;
  /** Answers log requests for this ticket instead of the one asked for. */
  answersFor: string | undefined;
  /** Answers with bytes that are no message. */
  garbles = false;
  /** Takes connections and says nothing. */
  unresponsive = false;
  /** Connections taken while unresponsive. */
  ignoredConnections = 0;
  /** Calls for these actions are taken and never answered. */
  readonly stalls = new Set<'acquire' | 'stage' | 'activate' | 'settle' | 'script' | 'health'>();
  /** A stalled activation ends with CANCELLED and this text once its ticket is cancelled. */
  putsBack: string | undefined;
  readonly #withdrawals = new EventEmitter();
  /** Calls that it has not answered. */
  stalled = 0;
  /** Fails acquisitions with this code. */
  failAcquire: 'PACKAGE_HASH_MISMATCH' | undefined;
  health: HealthReport = {};
  /** Calls of CheckHealth. */
  healthCalls = 0;
  readonly #epochs = new Map<string, number>();
  readonly #host: GrpcHost;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  port = 0;

  constructor(name: string) {
    this.name = name;
    this.#host = new GrpcHost({ log: silentLogger() });
    const server = { roles: ['server'] };
    this.#host.add<TentacleHandlers>(this.#service(), this.#handlers(), {
      RunScript: server,
      GetScript: server,
      StreamLogs: server,
      CancelScript: server,
      CompleteScript: server,
      AcquirePackage: server,
      StagePackage: server,
      ActivatePackage: server,
      SettlePackage: server,
      CheckHealth: server,
    });
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      if (this.unresponsive) {
        this.ignoredConnections += 1;
        socket.on('error', () => undefined).resume();
        return;
      }
      this.#host.accept(Object.assign(socket, { peer: { node: 'server-1', role: 'server' } satisfies StreamPeer }));
    });
  }

  /** Listens; on the same port again after `away`. */
  async listen(): Promise<this> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.port = address.port;
    return this;
  }

  /** Not reachable any more, until `listen`; what runs goes on. */
  async away(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.away();
    await this.#host.stop();
  }

  /** The one script, when there was one. */
  get script(): FakeScript {
    const [script] = this.scripts.values();
    if (script === undefined) throw new Error('no script was started');
    return script;
  }

  #handlers(): AsyncHandlers<TentacleHandlers, StreamPeer> {
    return {
      RunScript: (call) => this.#logs(call),
      GetScript: ({ request }) => this.#known(request.ticket).status(),
      StreamLogs: (call) => this.#logs(call),
      CancelScript: ({ request }) => {
        const { ticket } = this.#accept(request.envelope);
        this.cancels.push(ticket);
        this.#withdrawals.emit(ticket);
        if (!this.scripts.has(ticket) && this.consumesUnknown) {
          this.#consumed.add(ticket);
          return { ticket, phase: 'COMPLETED', errorCode: 'CANCELLED' };
        }
        const script = this.#known(ticket);
        script.cancel();
        return script.status();
      },
      CompleteScript: ({ request }) => {
        this.completionCalls += 1;
        if (this.#consumed.has(request.ticket)) return { ticket: request.ticket, phase: 'COMPLETED' };
        if (this.stillRuns.has(request.ticket)) throw new IsthmusError('SCRIPT_NOT_ENDED', 'it runs');
        const script = this.#known(request.ticket);
        if (!script.ended) throw new IsthmusError('SCRIPT_NOT_ENDED', `ticket ${request.ticket} runs`);
        if (script.phase !== 'COMPLETED') this.completed.push(request.ticket);
        script.phase = 'COMPLETED';
        return script.status();
      },
      AcquirePackage: (call) => {
        const { payload } = this.#accept(call.request.envelope);
        if (this.#stalls('acquire')) return;
        const { package: wanted, sources, fileName, unpackedBytes, entries } = packagePayloads.decode(payload);
        if (this.failAcquire !== undefined) throw new IsthmusError(this.failAcquire, 'wrong bytes', { hop: this.name });
        this.packageCalls.push(`acquire ${wanted?.id} ${wanted?.version}`);
        this.acquired.push({ format: wanted?.format, fileName, unpackedBytes, entries });
        const size = wanted?.sizeBytes ?? 0;
        const from = sources[0]?.node ?? 'nowhere';
        const progress: AcquireProgress = { receivedBytes: size, totalBytes: size, from, done: true };
        call.write({ ...progress, receivedBytes: 0, done: false });
        call.write(progress);
        call.end();
      },
      StagePackage: ({ request }) => this.#package('stage', request.envelope),
      ActivatePackage: ({ request }) => this.#package('activate', request.envelope),
      SettlePackage: ({ request }) => this.#package('settle', request.envelope),
      CheckHealth: async () => {
        this.healthCalls += 1;
        if (this.#stalls('health')) await forever;
        return { softwareVersion: 'fake', tentacleTimeMs: Date.now(), cpus: 2, ...this.health };
      },
    };
  }

  #stalls(action: 'acquire' | 'stage' | 'activate' | 'settle' | 'script' | 'health'): boolean {
    if (!this.stalls.has(action)) return false;
    this.stalled += 1;
    return true;
  }

  async #package(action: 'stage' | 'activate' | 'settle', envelope: Envelope__Output | null) {
    const { ticket, payload: bytes } = this.#accept(envelope);
    const payload: PackagePayload__Output = packagePayloads.decode(bytes);
    if (this.#stalls(action)) {
      if (action !== 'activate' || this.putsBack === undefined) await forever;
      await once(this.#withdrawals, ticket);
      throw new IsthmusError('CANCELLED', this.putsBack!);
    }
    const { installTo, revert } = payload;
    const how = revert ? ' (revert)' : installTo === '' ? '' : ` to ${installTo}`;
    this.packageCalls.push(`${action} ${payload.package?.id} ${payload.package?.version}${how}`);
    return { installation: payload.installation, currentVersion: payload.package?.version ?? '' };
  }

  #service(): typeof types.Tentacle.service {
    const methods = Object.entries(types.Tentacle.service).map(([name, method]) => {
      const responseSerialize = (answer: never) =>
        this.garbles ? Buffer.from([0xff, 0xff]) : method.responseSerialize(answer);
      return [name, { ...method, responseSerialize }];
    });
    return Object.fromEntries(methods) as typeof types.Tentacle.service;
  }

  /** How many starts are on their way still. */
  get heldStarts(): number {
    return this.#held.length;
  }

  /** Lets in the starts that were held up. */
  deliverHeld(): void {
    this.holdStarts = false;
    for (const envelope of this.#held.splice(0)) this.#start(envelope);
  }

  #start(envelope: Envelope__Output | null): ScriptStatus {
    if (this.holdStarts) {
      this.#held.push(envelope);
      this.cut();
      throw new IsthmusError('UNREACHABLE', 'held up');
    }
    const { ticket, payload } = this.#accept(envelope);
    if (this.rejectStarts > 0) {
      this.rejectStarts -= 1;
      throw new IsthmusError('SPAWN_FAILED', 'too many open files');
    }
    if (this.#consumed.has(ticket)) throw new IsthmusError('TICKET_ALREADY_USED', `ticket ${ticket} was cancelled`);
    let script = this.scripts.get(ticket);
    if (script === undefined) {
      script = new FakeScript(ticket, scriptPayloads.decode(payload));
      this.scripts.set(ticket, script);
      this.starts.push(ticket);
      void script.run();
    }
    if (this.loseStartReplies > 0) {
      this.loseStartReplies -= 1;
      this.cut();
    }
    return script.status();
  }

  #accept(envelope: Envelope__Output | null): EnvelopeBody__Output {
    const body = bodies.decode(envelope?.body ?? Buffer.alloc(0));
    if (body.tentacle !== this.name) throw new IsthmusError('WRONG_RECIPIENT', `this is ${this.name}`);
    this.#fence(body.task, body.epoch);
    return body;
  }

  #fence(task: string, epoch: number): void {
    const highest = this.#epochs.get(task) ?? 0;
    if (epoch < highest) throw new IsthmusError('STALE_EPOCH', `epoch ${epoch} is behind ${highest}`);
    this.#epochs.set(task, epoch);
  }

  #known(ticket: string): FakeScript {
    const script = this.scripts.get(ticket);
    if (this.#consumed.has(ticket)) throw new IsthmusError('TICKET_ALREADY_USED', `ticket ${ticket} was cancelled`);
    if (script === undefined) throw new IsthmusError('TICKET_UNKNOWN', `no ticket ${ticket}`, { hop: this.name });
    return script;
  }

  async #logs(call: ServerDuplexStream<LogRequest__Output, LogBatch>): Promise<void> {
    let script: FakeScript | undefined;
    let sent = 0;
    let ending = false;
    const send = (): void => {
      if (script === undefined || this.stallLogs || ending) return;
      while (sent < script.lines.length) {
        const from = Math.max(script.forgotten, sent - this.overlap);
        const texts = script.lines.slice(from, sent + this.batchLines);
        call.write({
          ticket: this.answersFor ?? script.ticket,
          firstLine: from + 1 + this.gap,
          lines: texts.map((text) => ({ stream: this.stream, atMs: Date.now(), text })),
        });
        sent = from + texts.length;
      }
      if (!script.ended) return;
      ending = true;
      call.write({ ticket: this.answersFor ?? script.ticket, firstLine: sent + 1, lines: [], end: script.status() });
    };
    let forget: (() => void) | undefined;
    call.on('error', () => undefined);
    call.on('close', () => forget?.());
    try {
      // What is thrown in here is to reach the caller, over the stream.
      const requests: AsyncIterable<LogRequest__Output> = call.iterator({ destroyOnReturn: false });
      for await (const request of requests) {
        if (script === undefined) {
          if (request.start !== null && this.#stalls('script')) continue;
          const started = request.start === null ? undefined : this.#start(request.start);
          // The envelope of a start names ticket, task and epoch.
          if (started === undefined) this.#fence(request.task, request.epoch);
          script = this.#known(started?.ticket ?? request.ticket);
          if (started !== undefined) call.write({ ticket: this.answersFor ?? script.ticket, started });
          sent = Math.max(request.afterLine, script.forgotten);
          forget = script.watch(send);
          send();
        } else {
          script.acknowledgements.push(request.acknowledgedLine);
          script.forgotten = Math.max(script.forgotten, request.acknowledgedLine);
          if (!request.complete || !this.completesOnStream) continue;
          script.phase = 'COMPLETED';
          this.completed.push(script.ticket);
          call.write({ ticket: script.ticket, firstLine: sent + 1, lines: [], end: script.status() });
        }
      }
    } finally {
      forget?.();
    }
    call.end();
  }
}

/** Dials fakes by name, as the mesh would dial tentacles; `unreachable` names those that no path leads to. */
export function dialFakes(ports: () => ReadonlyMap<string, number>) {
  return async ({ node, path = [], signal }: Pick<DialOptions, 'node' | 'path' | 'signal'>): Promise<Socket> => {
    const port = ports().get([...path, node].join('/')) ?? ports().get(node);
    if (port === undefined) throw new IsthmusError('UNREACHABLE', `no path to ${node}`, { hop: path[0] ?? node });
    const socket = connect(port, '127.0.0.1');
    signal?.addEventListener('abort', () => socket.destroy(), { once: true });
    try {
      await once(socket, 'connect');
    } catch (thrown) {
      throw new IsthmusError('UNREACHABLE', `${node} rejects the call`, { hop: node, cause: thrown });
    }
    return socket;
  };
}
