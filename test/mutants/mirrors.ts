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
