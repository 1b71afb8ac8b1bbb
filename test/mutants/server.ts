// Mutants of the rest of the server: topology, reports, denials, gRPC.
import type { Mutants } from './mutant.ts';

export const serverMutants: Mutants = {
  'auto-flaps': {
    file: 'server/topology/least-cost.ts',
    find: 'marginShare = 1.25',
    replace: 'marginShare = 1',
    also: [{ file: 'server/topology/least-cost.ts', find: 'marginMs = 5', replace: 'marginMs = 0' }],
    red: {
      file: 'server/topology/least-cost.test.ts',
      test: ['the ways of auto', 'do not take turns while their costs cross'],
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
  'malformed-is-internal': {
    file: 'lib/grpc/server.ts',
    find: 'carefully(method.requestDeserialize)',
    replace: 'method.requestDeserialize',
    red: {
      file: 'test/attacks/grpc.test.ts',
      test: ['link', 'refuses what is no message of its type, too large, or unknown, at every method, and serves on'],
    },
  },
  'one-fault-for-all': {
    file: 'server/topology/reparent.ts',
    find: "log.error({ err, node: id }, 'could not record that a node has moved to other parents');",
    replace: `if (err instanceof Error) throw err;
      log.error({ err, node: id }, 'could not record that a node has moved to other parents');`,
    red: {
      file: 'test/server/reconcile.test.ts',
      test: ['a node that cannot be noted to have moved keeps no other from it, and is noted in the next turn'],
    },
  },
  'parents-given-up-early': {
    file: 'mesh/parents.ts',
    find: '[...parents, ...this.#taken.filter((old) => !parents.some((each) => isSame(each, old)))]',
    replace: 'parents',
    red: {
      file: 'test/server/set-parents.test.ts',
      test: [
        'other parents',
        'that do not answer cost nothing: the old ones carry, after a kill too, and right ones can still be set',
      ],
    },
  },
  'pings-uncounted': {
    file: 'lib/grpc/session-guard.ts',
    find: 'controlFrames = { burst: 100,',
    replace: 'controlFrames = { burst: 100_000_000,',
    red: {
      file: 'test/attacks/floods.test.ts',
      test: ['a flood on a live link', 'of PINGs, with their answers read is one audit event'],
    },
  },
  'denials-told-again': {
    file: 'server/topology/reports.ts',
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
    file: 'server/store/denials.ts',
    find: 'own >= perMinute',
    replace: 'own < 0',
    red: {
      file: 'test/api/access.test.ts',
      test: ['a role', 'that goes on asking is refused as often, and recorded only so often'],
    },
  },
  'denials-untold': {
    file: 'mesh/report.ts',
    find: '[...mesh.denials.latest()]',
    replace: '[]',
    red: {
      file: 'test/attacks/relay.test.ts',
      test: ['a relay', 'with its own valid certificate may open nothing on a tentacle'],
    },
  },
  'role-unchecked': {
    file: 'lib/grpc/server.ts',
    find: '!access.roles.includes(peer.role)',
    replace: 'false',
    red: { file: 'test/lib/grpc.test.ts', test: ['denials', 'another role is refused and the handler does not run'] },
  },
  'undone-parents-kept': {
    file: 'mesh/parents.ts',
    find: `}
    await this.#keep(parents, signal);`,
    replace: `await this.#keep(parents, signal);
    }`,
    red: {
      file: 'test/server/set-parents.test.ts',
      test: [
        'other parents',
        'that are taken back leave nothing behind, as soon as the disk lets the node forget them',
      ],
    },
  },
};
