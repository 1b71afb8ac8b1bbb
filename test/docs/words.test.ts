// The word lint finds a planted retired word in each kind of name, and leaves the words around it alone.
import { expect, test } from 'vitest';
import { findInSource, retiredIn } from '../../build/check-words.ts';

test.each([
  ['waysDown', ['ways']],
  ['server/store/wished-parents.ts', ['wished']],
  ['FIND_PLACES', ['places']],
  ['replacePlace', ['place']],
  ['alwaysReplaced', []],
  ['PassThrough', []],
])('%s holds %j', (name, expected) => {
  expect(retiredIn(name)).toEqual(expected);
});

test('finds identifiers and texts, and says the standard word', () => {
  const text = "const wayDown = 1;\nthrow new Fault('PLACE_FAILED', `the node is to have ${wayDown} parents`);\n";
  expect(findInSource('x.ts', text)).toEqual([
    { where: 'x.ts:1', found: 'way', say: 'path, route' },
    { where: 'x.ts:2', found: 'PLACE_FAILED', say: 'its standard code in contract/errors.ts' },
    { where: 'x.ts:2', found: 'is to have', say: 'desired' },
    { where: 'x.ts:2', found: 'way', say: 'path, route' },
  ]);
});

test('leaves comments to the reader', () => {
  expect(findInSource('x.ts', '// by the way, in its place\nconst path = 1;\n')).toEqual([]);
});
