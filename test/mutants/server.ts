// Mutants of the rest of the server: topology, reports, denials, events, gRPC.
import type { Mutants } from './mutant.ts';

export const serverMutants: Mutants = {
  'one-key-has-all-connections': {
    file: 'server/api/port/limit-connections.ts',
    find: 'if (ofKeys.take(raw.socket, principal.keyId)) {',
    replace: 'if (ofKeys.take(raw.socket, principal.keyId) || true) {',
    red: {
      file: 'test/attacks/strangers.test.ts',
      test: ['one key may have half of the connections, and keeps nobody out who has another one'],
    },
  },
  'auto-flaps': {
    file: 'server/topology/cost.ts',
    find: 'MARGIN_SHARE = 1.25',
    replace: 'MARGIN_SHARE = 1',
    also: [{ file: 'server/topology/cost.ts', find: 'MARGIN_MS = 5', replace: 'MARGIN_MS = 0' }],
    red: {
      file: 'server/topology/route-resolver.test.ts',
      test: ['the paths of auto', 'do not alternate while their costs cross'],
    },
  },
  'background-unhandled': {
    file: 'lib/async/background.ts',
    find: 'Promise.try(work).catch((err: unknown) => logFailure(task, log, err));',
    replace: 'work();',
    red: {
      file: 'lib/async/background.test.ts',
      test: ['logs work that throws, and nothing else happens'],
    },
  },
  'empty-assignment-first': {
    file: 'server/topology/watch.ts',
    find: '#assigned: Assigned | undefined;',
    replace: '#assigned: Assigned | undefined = { dials: new Map(), parents: new Map() };',
    red: {
      file: 'test/server/reconcile.test.ts',
      test: ['a node is told nothing before the server knows whom it has to dial'],
    },
  },
  'health-by-silent-path': {
    file: 'server/health/reported-health.ts',
    find: "path?.state !== 'up'",
    replace: 'path === undefined',
    red: {
      file: 'server/health/reported-health.test.ts',
      test: ['health by what is reported', 'is left to a call when calls got no answer lately'],
    },
  },
  'health-by-old-report': {
    file: 'server/health/reported-health.ts',
    find: 'reported.atMs >= FRESH_MS',
    replace: 'reported.atMs < 0',
    red: {
      file: 'server/health/reported-health.test.ts',
      test: ['health by what is reported', 'is left to a call when the report is old'],
    },
  },
  'malformed-is-internal': {
    file: 'lib/grpc/server.ts',
    find: 'carefully(method.requestDeserialize)',
    replace: 'method.requestDeserialize',
    red: {
      file: 'test/attacks/grpc.test.ts',
      test: ['link', 'rejects what is no message of its type, too large, or unknown, at every method, and serves on'],
    },
  },
  'node-write-unannounced': {
    file: 'server/store/nodes/nodes.ts',
    find: 'async revoke(id: string, now: number): Promise<boolean> {',
    // The first statement announces the write.
    replace: 'async revoke(id: string, now: number): Promise<boolean> { if (false)',
    red: {
      file: 'server/topology/live.test.ts',
      test: ['the view', 'equals the store after every change, and is unchanged when a write fails'],
    },
  },
  'one-fault-for-all': {
    file: 'server/topology/reparent.ts',
    find: "log.error({ err, node: id }, 'could not record that a node has moved to other parents');",
    replace: `if (err instanceof Error) throw err;
      log.error({ err, node: id }, 'could not record that a node has moved to other parents');`,
    red: {
      file: 'test/server/reconcile.test.ts',
      test: ['a node that cannot be marked as moved keeps no other from it, and is marked in the next run'],
    },
  },
  'parents-given-up-early': {
    file: 'node/reparenting.ts',
    find: '[...parents, ...this.#applied.filter((old) => !parents.some((each) => isSame(each, old)))]',
    replace: 'parents',
    red: {
      file: 'test/server/set-parents.test.ts',
      test: [
        'other parents',
        'that do not answer cost nothing: the old ones carry, after a kill too, and right ones can still be set',
      ],
    },
  },
  'interim-answers-uncounted': {
    file: 'lib/grpc/session-guard.ts',
    find: 'burst: 100, perSecond: 10 }',
    replace: 'burst: 100_000_000, perSecond: 10 }',
    red: {
      file: 'test/attacks/http2-floods.test.ts',
      test: ['a client', 'ends a session with a flood of interim answers'],
    },
  },
  'messages-uncounted': {
    file: 'lib/grpc/session-guard.ts',
    find: "this.#count(this.#messages, 'messages', messages)",
    replace: "this.#count(this.#messages, 'messages')",
    red: {
      file: 'test/attacks/http2-floods.test.ts',
      test: ['a server', 'ends a session with a flood of empty messages'],
    },
  },
  'stray-frames-uncounted': {
    file: 'lib/grpc/session-guard.ts',
    find: 'if (this.#stray.exceeded())',
    replace: 'if (this.#stray.exceeded() && this.#ended)',
    red: {
      file: 'test/attacks/http2-floods.test.ts',
      test: ['a client', 'ends a session with a flood of WINDOW_UPDATE of the connection'],
    },
  },
  'silence-unnoticed': {
    file: 'lib/grpc/silence.ts',
    find: 'GIVE_UP_AFTER_MS = 10_000;',
    replace: 'GIVE_UP_AFTER_MS = 10_000_000;',
    red: {
      file: 'test/tasks/silent-relay.test.ts',
      test: ['moves a running script, and the call of a node to its server, without a line lost'],
    },
  },
  'denial-beside-a-live-process': {
    file: 'server/topology/denied-node.ts',
    find: ' || latest.at <= (node.lastSeenAt ?? 0)',
    replace: '',
    red: {
      file: 'server/topology/route-resolver.test.ts',
      test: [
        'the paths of a machine',
        'say that a process on them is denied, when the one before it has not reported since',
      ],
    },
  },
  'denial-unexplained': {
    file: 'server/tasks/execution/call-with-failover.ts',
    find: 'route.cause ?? thrown',
    replace: 'thrown',
    red: {
      file: 'test/server/cloned-node.test.ts',
      test: [
        'a tentacle that was set back to a snapshot',
        'is told as denied by all that explains why it is not reached',
      ],
    },
  },
  'silent-path-first': {
    file: 'server/topology/route-resolver.ts',
    find: 'fallen.set(keyOf(id, relays), true);',
    replace: '',
    red: {
      file: 'server/topology/route-resolver.test.ts',
      test: ['the paths of auto', 'come last when calls over them got no answer, although their links are up'],
    },
  },
  'denials-recorded-again': {
    file: 'server/topology/reports/reports.ts',
    find: '!known.has(id)',
    replace: '!known.has(`${id}?`)',
    red: {
      file: 'test/attacks/relay.test.ts',
      test: [
        'a relay',
        'that has stolen a server’s session key starts nothing without its signature, and nothing twice',
      ],
    },
  },
  'denials-unbounded': {
    file: 'lib/net/denial-limiter.ts',
    find: 'own >= this.#perSource',
    replace: 'own < 0',
    red: {
      file: 'test/api/access.test.ts',
      test: ['a role', 'that goes on asking is denied as often, and recorded only so often'],
    },
  },
  'denials-unreported': {
    file: 'node/report.ts',
    find: 'mesh.denials.latest().map(',
    replace: 'mesh.denials.latest().slice(0, 0).map(',
    red: {
      file: 'test/attacks/relay.test.ts',
      test: ['a relay', 'with its own valid certificate may open nothing on a tentacle'],
    },
  },
  'position-before-the-work': {
    file: 'server/events/subscriptions.ts',
    find: `await store.transaction(async (tx) => {
      await tx.subscriptions.move(this.#name, { from, to: upTo });`,
    replace: `await store.transaction((tx) => tx.subscriptions.move(this.#name, { from, to: upTo }));
    await store.transaction(async (tx) => {`,
    red: {
      file: 'test/events/subscriptions.test.ts',
      test: [
        'a process that is killed between the work and the position',
        'has done all work in the database once and in order',
      ],
    },
  },
  'role-unchecked': {
    file: 'lib/grpc/server.ts',
    find: '!access.roles.includes(peer.role)',
    replace: 'false',
    red: { file: 'test/lib/grpc.test.ts', test: ['denials', 'another role is denied and the handler does not run'] },
  },
  'traced-otherwise': {
    file: 'server/api/routes/mesh.ts',
    find: 'const { paths } = services.routes.resolve(id);',
    replace: 'const paths = services.routes.resolve(id).paths.toReversed();',
    red: { file: 'test/api/mesh.test.ts', test: ['take the paths of routes that are auto'] },
  },
  'undone-parents-kept': {
    file: 'node/reparenting.ts',
    find: `}
    await this.#save(parents, signal);`,
    replace: `await this.#save(parents, signal);
    }`,
    red: {
      file: 'test/server/set-parents.test.ts',
      test: [
        'other parents',
        'that are taken back leave nothing behind, as soon as the disk lets the node forget them',
      ],
    },
  },
  'unread-events-purged': {
    file: 'server/store/retention.ts',
    find: ".where('seq', '<=', await this.#readByAll())",
    replace: '',
    red: {
      file: 'test/server/housekeeping.test.ts',
      test: ['keeps health changes that a subscription has not read'],
    },
  },
};
