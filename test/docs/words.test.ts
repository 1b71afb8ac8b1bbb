// The word lint finds a planted retired word in each kind of name, and leaves the words around it alone.
import { expect, test } from 'vitest';
import { findIn, retiredIn } from '../../build/check-words.ts';

const said = (path: string, text: string): string[] =>
  findIn(path, text).map(({ where, found, say }) => `${where} ${found}: ${say}`);

test.each([
  ['waysDown', ['ways']],
  ['server/store/wished-parents.ts', ['wished']],
  ['FIND_PLACES', ['places']],
  ['replacePlace', ['place']],
  ['alwaysReplaced', []],
  ['mayAskAgain', ['may ask']],
  ['task_notes', ['task notes']],
  ['PassThrough', []],
])('%s holds %j', (name, expected) => {
  expect(retiredIn(name)).toEqual(expected);
});

test('finds identifiers and texts, and says the standard word', () => {
  const text = "const wayDown = 1;\nthrow new Fault('PLACE_FAILED', `the node is to have ${wayDown} parents`);\n";
  expect(said('x.ts', text)).toEqual([
    'x.ts:1 way: path, route',
    'x.ts:2 place: source, scope, site, environment, slot or offset',
    'x.ts:2 PLACE_FAILED: its standard code in contract/errors.ts',
    'x.ts:2 is to have: desired',
    'x.ts:2 way: path, route',
  ]);
});

test.each([
  [".command('gate list')", ['gate']],
  [".option('-g <gate>')", ['gate']],
  ["new Option('-g <gate>')", ['gate']],
  ["Words(['refused', 'wished'])", ['refused', 'wished']],
  [".choices(['burnt'])", ['burnt']],
  ["const counts = { 'door.opened': 1, 'enrolment.refusal-noted': 2, 'by the way': 3 }", ['door', 'refusal', 'way']],
  ["type State = 'mayAsk' | 'SEAL_BROKEN_'", ['may ask', 'seal broken']],
  ["app.get('/api/v1/ways')", ['ways']],
  ['fetch(`/api/v1/${kind}/places?kin=${id}`)', ['places', 'kin']],
  ["log.info('by the way, in its place', 'a/gate', './gate.ts')", []],
])('finds names that are texts in %s', (text, expected) => {
  expect(new Set(findIn('x.ts', text).map(({ found }) => found))).toEqual(new Set(expected));
});

test('finds in comments of sources phrases only, also over lines', () => {
  const text = '// by the way, in its place\n/**\n * A node that has gone\n * over.\n */\nconst path = 1;\n';
  expect(said('x.ts', text)).toEqual(['x.ts:3 gone over: moved to its desired parents']);
});

test.each([
  ['The request is refused.', ['refused']],
  ['The operating system refused it: connection refused. The disk refuses.', []],
])('in “%s” it finds %j', (text, expected) => {
  expect(findIn('x.md', text).map(({ found }) => found)).toEqual(expected);
});

test('finds options of commands, also in examples of their use', () => {
  const text = ".option('--heart-beat <ms>', 'passes by the way')\n'isthmus machine set eu-1 --role web';\n";
  expect(said('cli/x.ts', text)).toEqual([
    'cli/x.ts:1 beat: heartbeat',
    'cli/x.ts:2 machine set eu-1 --role: --target-role',
  ]);
  expect(findIn('cli/x.ts', "'isthmus token create --role relay';\n")).toEqual([]);
});

test('finds names of tables and columns in the store, and leaves its messages alone', () => {
  const text = [
    "db.selectFrom('task_ways as waiting').select('ways.place as at');",
    'sql`select pace from ${tasks} where gate = 1`;',
    "log.info('by the way, in place');",
  ].join('\n');
  expect(said('server/store/x.ts', text).map((each) => each.split(':', 2).join(':'))).toEqual([
    'server/store/x.ts:1 ways',
    'server/store/x.ts:1 ways',
    'server/store/x.ts:1 place',
    'server/store/x.ts:2 pace',
    'server/store/x.ts:2 gate',
  ]);
  expect(findIn('server/x.ts', text)).toEqual([]);
});

test.each(['x.md', 'x.txt'])(
  'finds in the prose of %s phrases, also over lines, and in its code words, too',
  (path) => {
    const text = [
      'By the way, a node that has gone',
      'over is `wished`; no place here.',
      '',
      '```sh',
      'isthmus feed --gate 1',
      '```',
      'No door is here either.',
    ].join('\n');
    expect(said(path, text)).toEqual([
      `${path}:1 gone over: moved to its desired parents`,
      `${path}:2 wished: desired`,
      `${path}:5 gate: rate limiter`,
    ]);
  },
);

test('checks a source that is a text file as a source', () => {
  expect(said('x.ts.txt', '// by the way\nconst way = 1;\n')).toEqual(['x.ts.txt:2 way: path, route']);
});

test('finds in the wire contract names, and in its comments phrases only', () => {
  const text =
    '// By the way: a node that is\n// to have a parent.\nmessage Door {\n  string place = 1; // in place\n}\n';
  expect(said('x.proto', text)).toEqual([
    'x.proto:1 is to have: desired',
    'x.proto:3 door: enrolment listener',
    'x.proto:4 place: source, scope, site, environment, slot or offset',
  ]);
});
