// One session of a link, from the two hellos to its end: the frames on Attach, the heartbeat, the bulk window, and all
// tunnels, which end with it. It is the same on both sides; `Transport` is what differs.
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import type { TlsSide } from '../../certs/credential.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import type { NodeStart } from '../../certs/starts.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import type { AttachFrame, AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { BulkAcks__Output } from '../../proto/gen/isthmus/mesh/v1/BulkAcks.ts';
import type { Credential__Output as CredentialMessage } from '../../proto/gen/isthmus/mesh/v1/Credential.ts';
import type { RevocationList__Output as RevocationListMessage } from '../../proto/gen/isthmus/mesh/v1/RevocationList.ts';
import type { MeshLimits } from '../limits.ts';
import { pauseUntil } from '../../lib/async/waiting.ts';
import { AckSender } from '../tunnel/ack.ts';
import { BulkStream } from '../tunnel/bulk.ts';
import { ControlStream, type TunnelCall } from '../tunnel/control.ts';
import type { TunnelRequest } from '../tunnel/request.ts';
import { SendWindow, type TunnelWindow } from '../tunnel/window.ts';
import { BulkSlots } from './bulk-slots.ts';
import { TunnelQuota } from './tunnel-quota.ts';
import { FrameRate } from './frame-rate.ts';
import type { KeptWindows } from './kept-windows.ts';
import { Heartbeat, type HeartbeatLimits } from './heartbeat.ts';
import type { Relation } from './hello.ts';
import type { FrameSource } from '../tunnel/next-frame.ts';
import { isConnected, type ByteCounter, type Connection } from './connection.ts';

export type AttachStream =
  ClientDuplexStream<AttachFrame, AttachFrame__Output> | ServerDuplexStream<AttachFrame__Output, AttachFrame>;

/** A tunnel that the peer requests; exactly one of `accept` and `deny` must be called. */
export interface IncomingTunnel {
  readonly request: TunnelRequest;
  /** Aborts when the requester gave up or the session has ended. */
  readonly signal: AbortSignal;
  accept(): Promise<Duplex>;
  deny(error: IsthmusError): void;
}

/** How this side opens tunnels, and what ends with the session. */
export interface Transport {
  /** The connection that carries Attach, and this node's side of its TLS session. */
  readonly connection: Connection;
  readonly side: TlsSide;
  open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex>;
  /** Handles a frame for this side only: OpenTunnel, CloseTunnel. */
  receive(frame: AttachFrame__Output): void;
  /** Ends the Attach call and the connection. */
  close(code: ErrorCode, detail: string): void;
}

export interface SessionFacts {
  /** By the newest certificate that the peer has proven in this session. */
  readonly peer: PeerIdentity;
  /** This node's role. */
  readonly role: NodeRole;
  /** The version that both sides use. */
  readonly wireVersion: number;
  /** What the peer is to this node. */
  readonly relation: Relation;
  readonly epoch: number;
  /** Of the peer's process; undefined for servers and nodes that still join. */
  readonly start: NodeStart | undefined;
  /** The connector's session id, which bulk connections name. */
  readonly id: Buffer;
  /** Whether this node requests the fast heartbeat from the start. */
  readonly fastHeartbeat: boolean;
}

export interface SessionHooks {
  incoming(session: LinkSession, tunnel: IncomingTunnel): void;
  revocations(session: LinkSession, list: RevocationListMessage): void;
  credential(session: LinkSession, credential: CredentialMessage): void;
  /** The peer requests the fast heartbeat, or no longer. */
  fastHeartbeatChanged(session: LinkSession): void;
  ended(session: LinkSession, error: IsthmusError): void;
}

/** What sessions have from their node. */
export interface SessionContext {
  readonly limits: MeshLimits;
  /** Of the sessions before. */
  readonly windows: KeptWindows;
  readonly hooks: SessionHooks;
}

/** A peer that does not read must not fill this node's memory. A live link holds a few. */
const MAX_UNSENT_FRAMES = 4096;
/** The heartbeat counts its pings from 1. */
const PROBE_ID = 0;

export class LinkSession {
  #facts: SessionFacts;
  readonly upSinceMs = Date.now();
  readonly window: SendWindow;
  readonly #attach: AttachStream;
  readonly #limits: MeshLimits;
  readonly #windows: KeptWindows;
  readonly #hooks: SessionHooks;
  readonly #counter: ByteCounter;
  readonly #heartbeat: Heartbeat;
  readonly #acks: AckSender;
  readonly #frameRate = new FrameRate();
  /** For the peer's requests, and for this node's requests to the peer. */
  readonly #peerQuota: TunnelQuota;
  readonly #ownQuota: TunnelQuota;
  readonly #bulkSlots: BulkSlots;
  readonly #tunnels = new Map<string, { readonly stream: Duplex; readonly window?: TunnelWindow }>();
  readonly #ended = new AbortController();
  #wantsFastHeartbeat: boolean;
  #peerWantsFastHeartbeat = false;
  #bulkTakenAtMs = -Infinity;
  readonly #onProbeAnswer = new Set<() => void>();
  transport: Transport | undefined;

  constructor(
    facts: SessionFacts,
    attach: AttachStream,
    { limits, windows, hooks }: SessionContext,
    counter: ByteCounter,
  ) {
    this.#facts = facts;
    this.#attach = attach;
    this.#limits = limits;
    this.#windows = windows;
    this.#hooks = hooks;
    this.#counter = counter;
    this.#wantsFastHeartbeat = facts.fastHeartbeat;
    this.#peerQuota = new TunnelQuota(facts.peer.role, limits);
    this.#ownQuota = new TunnelQuota(facts.role, limits);
    this.#bulkSlots = new BulkSlots(limits.bulkPerLink);
    this.#heartbeat = new Heartbeat(
      this.#heartbeatLimits(),
      (id) => this.#orEnd(() => this.send({ ping: { id, fast: this.#wantsFastHeartbeat } })),
      () => {
        this.end(new IsthmusError('LINK_TIMEOUT', `${facts.peer.node} was silent for ${this.linkTimeoutMs} ms`));
      },
      () => this.#isBulkQueued(),
    );
    const kept = windows.of(facts.peer.node);
    this.window = new SendWindow(limits.bulkWindow, () => this.#heartbeat.minRoundTripMs, { kept });
    this.#acks = new AckSender(limits.bulkWindow.ackEveryMs, (acks) =>
      this.#orEnd(() => this.send({ bulkAcks: { acks } })),
    );
  }

  /** Starts reading frames and the heartbeat. `transport` must be set. */
  start(): void {
    const { node } = this.facts.peer;
    const connection = this.transport?.connection;
    this.#heartbeat.onTick = () => {
      if (connection === undefined || isConnected(connection.raw)) return;
      this.end(new IsthmusError('UNREACHABLE', `the connection to ${node} was lost`, { hop: node }));
    };
    const attach: FrameSource = this.#attach;
    attach.on('data', (frame: AttachFrame__Output) => this.#orEnd(() => this.#receive(frame)));
    attach.resume();
    this.#heartbeat.start();
  }

  /** Aborts when the session ends; its reason is the error. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get facts(): SessionFacts {
    return this.#facts;
  }

  /** The peer has proven a renewed certificate of the same node and role. */
  proved(peer: PeerIdentity): void {
    this.#facts = { ...this.#facts, peer };
  }

  get roundTripMs(): number | undefined {
    return this.#heartbeat.roundTripMs;
  }

  /** Both sides use the fast heartbeat as long as one of them requests it. */
  set wantsFastHeartbeat(wanted: boolean) {
    if (wanted === this.#wantsFastHeartbeat || this.#ended.signal.aborted) return;
    this.#wantsFastHeartbeat = wanted;
    // Pings at once, which tells the peer.
    this.#heartbeat.setLimits(this.#heartbeatLimits());
  }

  get peerWantsFastHeartbeat(): boolean {
    return this.#peerWantsFastHeartbeat;
  }

  /** Silence after which the link is dead. */
  get linkTimeoutMs(): number {
    return this.#heartbeatLimits().timeoutMs;
  }

  get tunnelCount(): number {
    return this.#tunnels.size;
  }

  /** The peer's address on this link, without a port. */
  get address(): string | undefined {
    return this.transport?.connection.raw.remoteAddress;
  }

  /** Whether the peer's process answers within `ms`. */
  async answers(ms: number): Promise<boolean> {
    let answered = false;
    const subscribe = (wake: () => void) => {
      const onAnswer = () => {
        answered = true;
        wake();
      };
      this.#onProbeAnswer.add(onAnswer);
      return () => this.#onProbeAnswer.delete(onAnswer);
    };
    this.send({ ping: { id: PROBE_ID, fast: this.#wantsFastHeartbeat } });
    await pauseUntil(subscribe, { ms, signals: [this.signal] });
    return answered;
  }

  send(frame: AttachFrame): void {
    if (this.#ended.signal.aborted || !this.#attach.writable) return;
    if (this.#attach.writableLength >= MAX_UNSENT_FRAMES) {
      this.end(new IsthmusError('RESOURCE_EXHAUSTED', `${this.facts.peer.node} does not read its frames`));
      return;
    }
    this.#attach.write(frame);
  }

  open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    if (this.#ended.signal.aborted) return Promise.reject(this.#lost());
    if (this.transport === undefined) throw new Error('the session has not started');
    if (this.#tunnels.size >= this.#limits.tunnelsPerLink) {
      const detail = `the link to ${this.facts.peer.node} carries ${this.#tunnels.size} tunnels already`;
      return Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', detail));
    }
    // Requests over the rate, for instance of all nodes below, are not sent: the peer would end the link.
    if (!this.#ownQuota.tryAcquire()) {
      const detail = `tunnels are requested faster than the link to ${this.facts.peer.node} allows`;
      return Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', detail));
    }
    return this.transport.open(request, AbortSignal.any([signal, this.#ended.signal]));
  }

  /** Counts a request of the peer; false when it exceeds the rate. */
  tryAcquire(): boolean {
    return this.#peerQuota.tryAcquire();
  }

  /** As `TunnelQuota.expectAnswer`: the peer's answer will be a call. */
  expectAnswer(): () => void {
    return this.#peerQuota.expectAnswer();
  }

  incoming(tunnel: IncomingTunnel): void {
    let freeSlot: () => void;
    try {
      freeSlot = this.#peerQuota.slot();
    } catch (thrown) {
      tunnel.deny(IsthmusError.from(thrown));
      return;
    }
    this.#hooks.incoming(this, {
      ...tunnel,
      accept: async () => {
        try {
          return (await tunnel.accept()).once('close', freeSlot);
        } catch (thrown) {
          freeSlot();
          throw thrown;
        }
      },
      deny: (error) => {
        freeSlot();
        tunnel.deny(error);
      },
    });
  }

  /** The byte stream of a control call after its opening messages. */
  controlStream(tunnelId: Buffer, call: TunnelCall): Duplex {
    const key = tunnelId.toString('hex');
    const stream = new ControlStream(call, {
      whenFree: (send) => this.#frameRate.whenFree(() => this.#orEnd(send)),
      closed: () => this.#tunnels.delete(key),
      abandoned: () => {
        // The server side of a call cannot reset it while data is held back, so it asks the client side to.
        if (call.side === 'server') this.send({ close: { tunnelId } });
      },
    });
    this.#tunnels.set(key, { stream });
    return stream;
  }

  /** The byte stream of a bulk connection after its opening messages. */
  bulkStream(tunnelId: Buffer, connection: Connection, freeSlot: () => void): Duplex {
    const key = tunnelId.toString('hex');
    const window = this.window.open();
    const stream = new BulkStream(connection.tls, window, {
      taken: (total) => {
        if (total > this.#limits.bulkWindow.startBytes) this.#bulkTakenAtMs = performance.now();
        this.#acks.taken(tunnelId, total);
      },
      closed: () => {
        this.#tunnels.delete(key);
        if (this.window.kept !== undefined) this.#windows.keep(this.facts.peer.node, this.window.kept);
        freeSlot();
      },
    });
    this.#tunnels.set(key, { stream, window });
    return stream;
  }

  /** Counts the connection to the link and ties it to the session. */
  adopt(connection: Connection): void {
    this.#counter.add(connection.raw);
    const end = () => connection.tls.destroy();
    if (this.#ended.signal.aborted) {
      end();
      return;
    }
    this.#ended.signal.addEventListener('abort', end, { once: true });
    connection.raw.once('close', () => this.#ended.signal.removeEventListener('abort', end));
  }

  /** As `BulkSlots.acquire`. */
  bulkSlot(signal: AbortSignal): Promise<() => void> {
    return this.#bulkSlots.acquire(signal);
  }

  /** As `BulkSlots.acquireForPeer`. */
  peerBulkSlot(): () => void {
    return this.#bulkSlots.acquireForPeer(this.facts.peer.node);
  }

  /** Ends the session and everything on it. With `tell`, a goodbye tells the peer why. */
  end(error: IsthmusError, tell = false): void {
    if (this.#ended.signal.aborted) return;
    if (tell) this.send({ goodbye: { code: error.code, detail: error.message } });
    this.#ended.abort(error);
    this.#heartbeat.stop();
    this.#acks.stop();
    for (const { stream } of [...this.#tunnels.values()]) stream.destroy();
    this.transport?.close(error.code, error.message);
    this.#hooks.ended(this, error);
  }

  /** Whether bulk fills the line in either direction, so that round trips include its queue. */
  #isBulkQueued(): boolean {
    const takesBulk = performance.now() - this.#bulkTakenAtMs < this.#limits.heartbeatIntervalMs;
    return takesBulk || this.window.inFlight > this.#limits.bulkWindow.startBytes;
  }

  /** A fault of a session ends that session, and nothing else. */
  #orEnd(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.end(IsthmusError.from(thrown));
    }
  }

  #receive(frame: AttachFrame__Output): void {
    // Frames that were buffered when the session ended.
    if (this.#ended.signal.aborted) return;
    this.#heartbeat.heard();
    if (frame.ping) this.#pinged(frame.ping.id, frame.ping.fast);
    else if (frame.pong) this.#answered(frame.pong.id);
    else if (frame.bulkAcks) this.#acknowledged(frame.bulkAcks);
    else if (frame.close) this.#tunnels.get(frame.close.tunnelId.toString('hex'))?.stream.destroy();
    else if (frame.revocations) this.#hooks.revocations(this, frame.revocations);
    else if (frame.credential) this.#hooks.credential(this, frame.credential);
    else if (frame.goodbye) this.#goodbye(frame.goodbye.code, frame.goodbye.detail);
    if (frame.open || frame.close) this.transport?.receive(frame);
  }

  #pinged(id: number, fast: boolean): void {
    this.send({ pong: { id } });
    if (fast === this.#peerWantsFastHeartbeat) return;
    this.#peerWantsFastHeartbeat = fast;
    this.#heartbeat.setLimits(this.#heartbeatLimits());
    this.#hooks.fastHeartbeatChanged(this);
  }

  #answered(id: number): void {
    if (id !== PROBE_ID) return this.#heartbeat.pong(id);
    for (const onAnswer of [...this.#onProbeAnswer]) onAnswer();
  }

  #heartbeatLimits(): HeartbeatLimits {
    const { heartbeatIntervalMs, linkTimeoutMs, fastHeartbeatIntervalMs, fastLinkTimeoutMs } = this.#limits;
    const isFast = this.#wantsFastHeartbeat || this.#peerWantsFastHeartbeat;
    return isFast
      ? { intervalMs: fastHeartbeatIntervalMs, timeoutMs: fastLinkTimeoutMs }
      : { intervalMs: heartbeatIntervalMs, timeoutMs: linkTimeoutMs };
  }

  #acknowledged({ acks }: BulkAcks__Output): void {
    for (const { tunnelId, receivedBytes } of acks) {
      this.#tunnels.get(tunnelId.toString('hex'))?.window?.acknowledge(receivedBytes);
    }
  }

  #goodbye(code: string, detail: string): void {
    const known = code === 'SESSION_REPLACED' || code === 'STALE_SESSION' ? code : 'UNREACHABLE';
    this.end(new IsthmusError(known, detail.slice(0, 500), { hop: this.facts.peer.node }));
  }

  #lost(): IsthmusError {
    return new IsthmusError('UNREACHABLE', `the link to ${this.facts.peer.node} is down`);
  }
}
