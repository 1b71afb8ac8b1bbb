// One session of a link, from the two hellos to its end, the same on both sides: frames of the Attach stream, beats,
// the bulk windows, and all tunnels, which end with it. What differs by side is behind `Transport`.
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import type { TlsSide } from '../../certs/credential.ts';
import type { PeerIdentity, Role } from '../../certs/peer.ts';
import { IsthmusError, type ErrorCode } from '../../lib/errors.ts';
import type { AttachFrame, AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { Credential__Output as CredentialMessage } from '../../proto/gen/isthmus/mesh/v1/Credential.ts';
import type { RevocationList__Output as RevocationListMessage } from '../../proto/gen/isthmus/mesh/v1/RevocationList.ts';
import type { MeshLimits } from '../limits.ts';
import { AckSender } from '../tunnel/ack.ts';
import { BulkStream } from '../tunnel/bulk.ts';
import { ControlStream, type TunnelCall } from '../tunnel/control.ts';
import type { TunnelRequest } from '../tunnel/request.ts';
import { SendWindow, type TunnelWindow } from '../tunnel/window.ts';
import { TunnelQuota } from './tunnel-quota.ts';
import { Heartbeat, type HeartbeatLimits } from './heartbeat.ts';
import type { Relation } from './hello.ts';
import type { FrameSource } from '../tunnel/next-frame.ts';
import { isConnected, type ByteCounter, type Connection } from './connection.ts';

export type AttachStream =
  ClientDuplexStream<AttachFrame, AttachFrame__Output> | ServerDuplexStream<AttachFrame__Output, AttachFrame>;

/** A tunnel that the peer asks for; one of the two answers must be given. */
export interface IncomingTunnel {
  readonly request: TunnelRequest;
  /** Aborts when the asker has given up, or the session is gone. */
  readonly signal: AbortSignal;
  accept(): Promise<Duplex>;
  refuse(error: IsthmusError): void;
}

/** How tunnels are opened on this side, and what the end of the session must take with it. */
export interface Transport {
  /** The one that carries Attach, and this node's side of its TLS session. */
  readonly connection: Connection;
  readonly side: TlsSide;
  open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex>;
  /** A frame that only this side gets: OpenTunnel. */
  receive(frame: AttachFrame__Output): void;
  /** Ends the Attach call and the connection. */
  close(code: ErrorCode, detail: string): void;
}

export interface SessionFacts {
  /** By the newest certificate that it has proven in this session. */
  readonly peer: PeerIdentity;
  /** This node's own. */
  readonly role: Role;
  /** The version that both sides speak. */
  readonly wireVersion: number;
  /** What the peer is to this node. */
  readonly relation: Relation;
  readonly epoch: number;
  /** The connector's session id, which its bulk connections name. */
  readonly id: Buffer;
  /** Whether this node wants it watched each second, when it comes up. */
  readonly fast: boolean;
}

export interface SessionHooks {
  incoming(session: LinkSession, tunnel: IncomingTunnel): void;
  revocations(session: LinkSession, list: RevocationListMessage): void;
  credential(session: LinkSession, credential: CredentialMessage): void;
  /** The peer wants the link watched each second, or no longer. */
  fastHeartbeatChanged(session: LinkSession): void;
  ended(session: LinkSession, error: IsthmusError): void;
}

/** A peer that asks and does not read the answers must not fill this node's memory. A live link holds a few. */
const mostUnsentFrames = 4096;

export class LinkSession {
  #facts: SessionFacts;
  readonly upSinceMs = Date.now();
  readonly window: SendWindow;
  readonly #attach: AttachStream;
  readonly #limits: MeshLimits;
  readonly #hooks: SessionHooks;
  readonly #counter: ByteCounter;
  readonly #heartbeat: Heartbeat;
  readonly #acks: AckSender;
  /** What the peer asks for, and what this node asks of the peer. */
  readonly #asked: TunnelQuota;
  readonly #asking: TunnelQuota;
  readonly #tunnels = new Map<string, { readonly stream: Duplex; readonly window?: TunnelWindow }>();
  readonly #gone = new AbortController();
  #wantsFastHeartbeat: boolean;
  #peerWantsFastHeartbeat = false;
  #bulkTakenAtMs = -Infinity;
  #bulkOwn = 0;
  #bulkPeer = 0;
  readonly #bulkWaiters = new Set<() => void>();
  transport: Transport | undefined;

  constructor(
    facts: SessionFacts,
    attach: AttachStream,
    limits: MeshLimits,
    counter: ByteCounter,
    hooks: SessionHooks,
  ) {
    this.#facts = facts;
    this.#attach = attach;
    this.#limits = limits;
    this.#hooks = hooks;
    this.#counter = counter;
    this.#wantsFastHeartbeat = facts.fast;
    this.#asked = new TunnelQuota(facts.peer.role, limits);
    this.#asking = new TunnelQuota(facts.role, limits);
    this.#heartbeat = new Heartbeat(
      this.#pace(),
      (id) => this.send({ ping: { id, fast: this.#wantsFastHeartbeat } }),
      () => {
        const { linkTimeoutMs } = this.#pace();
        this.end(new IsthmusError('LINK_TIMEOUT', `${facts.peer.node} was silent for ${linkTimeoutMs} ms`));
      },
      () => this.#bulkStands(),
    );
    this.window = new SendWindow(limits.bulkWindow, () => this.#heartbeat.minRoundTripMs);
    this.#acks = new AckSender(limits.bulkWindow.ackEveryMs, (tunnelId, receivedBytes) =>
      this.send({ bulkAck: { tunnelId, receivedBytes } }),
    );
  }

  /** Begins to read frames and to beat. `transport` must be set. */
  start(): void {
    const { node } = this.facts.peer;
    const connection = this.transport?.connection;
    this.#heartbeat.onTick = () => {
      if (connection === undefined || isConnected(connection.raw)) return;
      this.end(new IsthmusError('UNREACHABLE', `the connection to ${node} was lost`, { hop: node }));
    };
    const attach: FrameSource = this.#attach;
    attach.on('data', (frame: AttachFrame__Output) => this.#receive(frame));
    attach.resume();
    this.#heartbeat.start();
  }

  /** Aborts when the session ends; its reason is the error. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get facts(): SessionFacts {
    return this.#facts;
  }

  /** The peer has proven a newer certificate; node and role are as before. */
  proved(peer: PeerIdentity): void {
    this.#facts = { ...this.#facts, peer };
  }

  get roundTripMs(): number | undefined {
    return this.#heartbeat.roundTripMs;
  }

  /** Both sides beat each second as long as one of them has a reason to. */
  set wantsFastHeartbeat(wanted: boolean) {
    if (wanted === this.#wantsFastHeartbeat || this.#gone.signal.aborted) return;
    this.#wantsFastHeartbeat = wanted;
    // The peer hears of it at the next beat, which a change of pace makes at once.
    this.#heartbeat.pace(this.#pace());
  }

  get peerWantsFastHeartbeat(): boolean {
    return this.#peerWantsFastHeartbeat;
  }

  /** Silence after which the link is taken for dead. */
  get linkTimeoutMs(): number {
    return this.#pace().linkTimeoutMs;
  }

  get tunnelCount(): number {
    return this.#tunnels.size;
  }

  send(frame: AttachFrame): void {
    if (this.#gone.signal.aborted || !this.#attach.writable) return;
    if (this.#attach.writableLength >= mostUnsentFrames) {
      this.end(new IsthmusError('RESOURCE_EXHAUSTED', `${this.facts.peer.node} does not read what it is sent`));
      return;
    }
    this.#attach.write(frame);
  }

  open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    if (this.#gone.signal.aborted) return Promise.reject(this.#lost());
    if (this.transport === undefined) throw new Error('the session has not started');
    if (this.#tunnels.size >= this.#limits.tunnelsPerLink) {
      const detail = `the link to ${this.facts.peer.node} carries ${this.#tunnels.size} tunnels already`;
      return Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', detail));
    }
    // What the peer would take for a flood, for instance of all who ask of this node, is not sent.
    if (!this.#asking.tryAcquire()) {
      const detail = `more tunnels are asked for on the link to ${this.facts.peer.node} than it may be asked for at once`;
      return Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', detail));
    }
    return this.transport.open(request, AbortSignal.any([signal, this.#gone.signal]));
  }

  /** Counts a request of the peer's; false when they come faster than any node's. */
  tryAcquire(): boolean {
    return this.#asked.tryAcquire();
  }

  /** As `TunnelQuota.expectAnswer`: the peer's answer will be a call of its own. */
  expectAnswer(): () => void {
    return this.#asked.expectAnswer();
  }

  incoming(tunnel: IncomingTunnel): void {
    let release: () => void;
    try {
      release = this.#asked.place();
    } catch (thrown) {
      tunnel.refuse(IsthmusError.from(thrown));
      return;
    }
    this.#hooks.incoming(this, {
      ...tunnel,
      accept: async () => {
        try {
          return (await tunnel.accept()).once('close', release);
        } catch (thrown) {
          release();
          throw thrown;
        }
      },
      refuse: (error) => {
        release();
        tunnel.refuse(error);
      },
    });
  }

  /** The byte stream of a control call whose opening messages are done. */
  controlStream(tunnelId: Buffer, call: TunnelCall): Duplex {
    const key = tunnelId.toString('hex');
    const stream = new ControlStream(call, {
      closed: () => this.#tunnels.delete(key),
      abandoned: () => {
        // The server side of a call cannot reset it while data is held back; the client side is asked to.
        if (call.side === 'server') this.send({ close: { tunnelId } });
      },
    });
    this.#tunnels.set(key, { stream });
    return stream;
  }

  /** The byte stream of a bulk connection whose opening messages are done. */
  bulkStream(tunnelId: Buffer, connection: Connection, release: () => void): Duplex {
    const key = tunnelId.toString('hex');
    const window = this.window.open();
    const stream = new BulkStream(connection.tls, window, {
      taken: (total) => {
        if (total > this.#limits.bulkWindow.startBytes) this.#bulkTakenAtMs = performance.now();
        this.#acks.taken(tunnelId, total);
      },
      closed: () => {
        this.#tunnels.delete(key);
        release();
      },
    });
    this.#tunnels.set(key, { stream, window });
    return stream;
  }

  /** Counts the connection to the link and ties it to the session. */
  adopt(connection: Connection): void {
    this.#counter.add(connection.raw);
    const end = () => connection.tls.destroy();
    if (this.#gone.signal.aborted) {
      end();
      return;
    }
    this.#gone.signal.addEventListener('abort', end, { once: true });
    connection.raw.once('close', () => this.#gone.signal.removeEventListener('abort', end));
  }

  /** A place among the bulk connections that this side asked for; waits for one until the signal aborts. */
  async bulkSlot(signal: AbortSignal): Promise<() => void> {
    while (this.#bulkOwn >= this.#limits.bulkPerLink) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const go = () => {
          signal.removeEventListener('abort', go);
          this.#bulkWaiters.delete(go);
          resolve();
        };
        signal.addEventListener('abort', go, { once: true });
        this.#bulkWaiters.add(go);
      });
    }
    signal.throwIfAborted();
    this.#bulkOwn += 1;
    return once(() => {
      this.#bulkOwn -= 1;
      for (const go of this.#bulkWaiters) {
        go();
        break;
      }
    });
  }

  /** A place for a bulk connection that the peer asked for: it queues on its side, so more is a fault of its own. */
  peerBulkSlot(): () => void {
    if (this.#bulkPeer >= this.#limits.bulkPerLink) {
      const detail = `${this.facts.peer.node} has ${this.#bulkPeer} bulk tunnels on this link already`;
      throw new IsthmusError('RESOURCE_EXHAUSTED', detail);
    }
    this.#bulkPeer += 1;
    return once(() => (this.#bulkPeer -= 1));
  }

  /** Ends the session and everything on it. `tell` says why to the peer first, where it can still hear it. */
  end(error: IsthmusError, tell = false): void {
    if (this.#gone.signal.aborted) return;
    if (tell) this.send({ goodbye: { code: error.code, detail: error.message } });
    this.#gone.abort(error);
    this.#heartbeat.stop();
    this.#acks.stop();
    for (const { stream } of [...this.#tunnels.values()]) stream.destroy();
    this.transport?.close(error.code, error.message);
    this.#hooks.ended(this, error);
  }

  /** Whether bulk fills the line in either direction, so that round trips include its queue. */
  #bulkStands(): boolean {
    const takesBulk = performance.now() - this.#bulkTakenAtMs < this.#limits.heartbeatIntervalMs;
    return takesBulk || this.window.inFlight > this.#limits.bulkWindow.startBytes;
  }

  #receive(frame: AttachFrame__Output): void {
    // What stood in the stream when the session ended.
    if (this.#gone.signal.aborted) return;
    this.#heartbeat.heard();
    if (frame.ping) this.#pinged(frame.ping.id, frame.ping.fast);
    else if (frame.pong) this.#heartbeat.pong(frame.pong.id);
    else if (frame.bulkAck) this.#acknowledged(frame.bulkAck.tunnelId, frame.bulkAck.receivedBytes);
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
    this.#heartbeat.pace(this.#pace());
    this.#hooks.fastHeartbeatChanged(this);
  }

  #pace(): HeartbeatLimits {
    const { heartbeatIntervalMs, linkTimeoutMs, fastHeartbeatIntervalMs, fastLinkTimeoutMs } = this.#limits;
    const isFast = this.#wantsFastHeartbeat || this.#peerWantsFastHeartbeat;
    return isFast ? { intervalMs: fastHeartbeatIntervalMs, linkTimeoutMs: fastLinkTimeoutMs } : { intervalMs: heartbeatIntervalMs, linkTimeoutMs };
  }

  #acknowledged(tunnelId: Buffer, bytes: number): void {
    this.#tunnels.get(tunnelId.toString('hex'))?.window?.acknowledge(bytes);
  }

  #goodbye(code: string, detail: string): void {
    const known = code === 'SESSION_REPLACED' || code === 'STALE_SESSION' ? code : 'UNREACHABLE';
    this.end(new IsthmusError(known, detail.slice(0, 500), { hop: this.facts.peer.node }));
  }

  #lost(): IsthmusError {
    return new IsthmusError('UNREACHABLE', `the link to ${this.facts.peer.node} is down`);
  }
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
