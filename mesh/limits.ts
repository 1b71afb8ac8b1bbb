// Every bound and timer of the mesh, with the reason for its default. A test passes its own; nothing deeper has
// numbers.

export interface MeshLimits {
  /** Connections on the one port, of all kinds. One link needs one, each bulk tunnel one more. */
  readonly connections: number;
  /** Connections that have not said who they are yet: more than all agents of a server that come back at once. */
  readonly handshakes: number;
  /**
   * TLS handshakes begun at a time, 2 ms of processor time each, and for how long one counts: long lines take longer.
   */
  readonly handshakesAtOnce: number;
  readonly handshakeTurnMs: number;
  /**
   * From accept to the first message of the mesh. 300 ms and 5 % loss need about 4 s; silent sockets should not stay.
   */
  readonly handshakeMs: number;
  /** A peer is asked for a sign of life this often, when there is no second path to turn to. */
  readonly heartbeatMs: number;
  /** Silence after which a link is dead: three beats, so that one lost packet and its retransmission do not count. */
  readonly silenceMs: number;
  /** The same two where this node has a second parent, so that turning to it takes seconds. */
  readonly fastHeartbeatMs: number;
  readonly fastSilenceMs: number;
  /** Reconnect: full jitter below base·2^n, at most cap; 1,000 agents spread, and all are back well within 30 s. */
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** A session that lasted this long starts the backoff over; one that flaps does not. */
  readonly stableMs: number;
  /** Control tunnels open on one link, both directions. */
  readonly tunnelsPerLink: number;
  /** Of these, what a tentacle or a mirror may ask for: it has a few to its server, and fetches by bulk. */
  readonly tunnelsPerLeaf: number;
  /** Bulk connections of one link; more callers wait until their deadline. */
  readonly bulkPerLink: number;
  readonly bulkWindow: WindowLimits;
  /** A tunnel is opened within this, whatever its initiator asks. */
  readonly openMs: number;
  readonly enrol: EnrolLimits;
}

export interface WindowLimits {
  /** In flight before anything was measured: small enough not to fill a thin line, doubled each round trip. */
  readonly startBytes: number;
  /** Less would not fill a line that loses packets: while TCP repeats one, nothing behind it is acknowledged here. */
  readonly floorBytes: number;
  readonly capBytes: number;
  /** Shorter round trips count as this long: a scheduler's hiccup must not drain the pipe on a local network. */
  readonly minRoundTripMs: number;
  /** How long a measured delivery rate is believed. */
  readonly rateMemoryMs: number;
  /** How often acknowledgements are sent, one message for everything read since. */
  readonly ackEveryMs: number;
}

export interface EnrolLimits {
  /** A whole enrolment is about 20 KB. */
  readonly bytes: number;
  /**
   * From its opening to the confirmation over the mesh, for which a joining node has 40 s; the server cuts who proves
   * nothing.
   */
  readonly ms: number;
  readonly concurrent: number;
  /** Attempts per second and in a burst, for everybody and for one address. */
  readonly perSecond: number;
  readonly burst: number;
  readonly perAddressPerSecond: number;
  readonly perAddressBurst: number;
}

export const defaultLimits: MeshLimits = {
  connections: 8192,
  handshakes: 1024,
  handshakesAtOnce: 64,
  handshakeTurnMs: 100,
  handshakeMs: 10_000,
  heartbeatMs: 5_000,
  silenceMs: 15_000,
  fastHeartbeatMs: 1_000,
  fastSilenceMs: 3_000,
  backoffBaseMs: 200,
  backoffCapMs: 5_000,
  stableMs: 20_000,
  tunnelsPerLink: 2048,
  tunnelsPerLeaf: 64,
  bulkPerLink: 64,
  bulkWindow: {
    startBytes: 64 * 1024,
    floorBytes: 32 * 1024,
    capBytes: 64 * 1024 * 1024,
    minRoundTripMs: 20,
    rateMemoryMs: 10_000,
    ackEveryMs: 5,
  },
  openMs: 60_000,
  enrol: {
    bytes: 256 * 1024,
    ms: 60_000,
    concurrent: 64,
    perSecond: 20,
    burst: 100,
    perAddressPerSecond: 2,
    perAddressBurst: 20,
  },
};

/** The limits of links that are lost after this much silence; the interval of the heartbeats follows. */
export function linkTimeout(timeoutS: number | undefined): Partial<MeshLimits> {
  if (timeoutS === undefined) return {};
  const silenceMs = timeoutS * 1000;
  return { silenceMs, heartbeatMs: silenceMs / 3 };
}

/** A tunnel crosses at most this many nodes between its ends. */
export const maxHops = 8;
