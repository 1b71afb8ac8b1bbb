// Every bound and timer of the mesh, with the reason for its default. Tests pass their own.

export interface MeshLimits {
  /** Connections on the port, of all kinds. A link needs one, each bulk tunnel one more. */
  readonly connections: number;
  /** Connections that are not authenticated yet: more than all agents of a server that reconnect at once. */
  readonly handshakes: number;
  /** Of these, from one network: a site behind one address, beside which others still get in. */
  readonly handshakesPerNetwork: number;
  /** Concurrent TLS handshakes, 2 ms of processor time each, and how long one counts: on long lines it takes longer. */
  readonly concurrentHandshakes: number;
  readonly handshakeSlotMs: number;
  /** From accept to the first message of the mesh. 300 ms and 5 % loss need about 4 s; silent sockets must not stay. */
  readonly handshakeMs: number;
  /** How often a link is pinged when there is no second path. */
  readonly heartbeatIntervalMs: number;
  /**
   * Silence after which a link is dead: three intervals, so that one lost packet and its retransmission do not count.
   */
  readonly linkTimeoutMs: number;
  /** The same two where a node has a second parent, so that failover takes seconds. */
  readonly fastHeartbeatIntervalMs: number;
  readonly fastLinkTimeoutMs: number;
  /** Reconnect: full jitter below base·2^n, at most cap; 1,000 agents spread, and all are back well within 30 s. */
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** A session that lasted this long starts the backoff over; one that flaps does not. */
  readonly stableMs: number;
  /** Control tunnels open on one link, both directions. */
  readonly tunnelsPerLink: number;
  /** Of these, how many a tentacle or a mirror may open: it has a few to its server, and fetches by bulk. */
  readonly tunnelsPerLeaf: number;
  /** Bulk connections of one link; more callers wait until their deadline. */
  readonly bulkPerLink: number;
  readonly bulkWindow: WindowLimits;
  /** Upper bound for opening a tunnel, whatever its initiator requests. */
  readonly openMs: number;
  readonly enrol: EnrolmentLimits;
}

export interface WindowLimits {
  /** In flight before anything is measured: too little to fill a thin line, doubled each round trip. */
  readonly startBytes: number;
  /** Less would not fill a line that loses packets: while TCP repeats one, nothing behind it is acknowledged here. */
  readonly floorBytes: number;
  readonly capBytes: number;
  /** Shorter round trips count as this long: a scheduler's hiccup must not drain the pipe on a local network. */
  readonly minRoundTripMs: number;
  /** How long a measured delivery rate is used. */
  readonly rateMemoryMs: number;
  /** The window that a transfer ended with is where the next one starts: half of it for each such time in between. */
  readonly keptHalfLifeMs: number;
  /** How often acknowledgements are sent, one message for everything read since. */
  readonly ackEveryMs: number;
}

export interface EnrolmentLimits {
  /** A whole enrolment is about 20 KB. */
  readonly bytes: number;
  /**
   * From opening to confirmation over the mesh, for which a joining node has 40 s. The server ends idle ones earlier.
   */
  readonly ms: number;
  readonly concurrent: number;
  /** Attempts per second and in a burst, in total and for one address. */
  readonly perSecond: number;
  readonly burst: number;
  readonly perAddressPerSecond: number;
  readonly perAddressBurst: number;
}

export const DEFAULT_LIMITS: MeshLimits = {
  connections: 8192,
  handshakes: 1024,
  handshakesPerNetwork: 512,
  concurrentHandshakes: 64,
  handshakeSlotMs: 100,
  handshakeMs: 10_000,
  heartbeatIntervalMs: 5_000,
  linkTimeoutMs: 15_000,
  fastHeartbeatIntervalMs: 1_000,
  fastLinkTimeoutMs: 3_000,
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
    keptHalfLifeMs: 600_000,
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

/** Limits under which a link is lost after this much silence. The heartbeat interval follows. */
export function linkTimeout(timeoutS: number | undefined): Partial<MeshLimits> {
  if (timeoutS === undefined) return {};
  const linkTimeoutMs = timeoutS * 1000;
  return { linkTimeoutMs, heartbeatIntervalMs: linkTimeoutMs / 3 };
}

/** A tunnel crosses at most this many nodes between its endpoints. */
export const MAX_HOPS = 8;
