// Mutants of what the server has mirrors do.
import type { Mutants } from './mutant.ts';

const warming = 'test/mirrors/warming.test.ts';

export const mirrorsMutants: Mutants = {
  'warmed-outside-the-scope': {
    file: 'server/mirrors/warming.ts',
    find: '(mirrorsOf.get(site) ?? [])',
    replace: 'mirrors.all()',
    red: { file: warming, test: ['a warming', 'goes to sites with machines in scope only'] },
  },
  'an-order-for-another-mirror': {
    file: 'mirror/orders.ts',
    find: 'self: trust.node, kind',
    replace: "self: 'mirror-pci', kind",
    red: {
      file: warming,
      test: ['the service of a mirror', 'takes only orders that the server signed for it, of their kind and in time'],
    },
  },
  'joins-a-cancelled-fetch': {
    file: 'mirror/cache.ts',
    find: 'if (pulling?.cancel.signal.aborted !== true) break;',
    replace: 'break;',
    red: {
      file: 'test/packages/keeping.test.ts',
      test: ['a warming that is cancelled takes nobody with it who comes meanwhile'],
    },
  },
  'pins-shut-a-release-out': {
    file: 'mirror/cache.ts',
    find: 'throttle.isLifted || this.protection',
    replace: 'this.protection',
    red: {
      file: 'test/packages/keeping.test.ts',
      test: ['eviction', 'gives up the least important pin for what somebody waits for, and fetches that once'],
    },
  },
  'a-rate-that-stays': {
    file: 'mirror/cache.ts',
    find: 'throttle.onLift(() => this.#liftAbove(source, request, signal))',
    replace: 'throttle.onLift(() => undefined)',
    red: {
      file: warming,
      test: ['a warming', 'keeps to its rate on every line, until a machine waits for the package'],
    },
  },
};
