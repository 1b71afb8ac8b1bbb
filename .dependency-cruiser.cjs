// Which module may import which, each rule with its reason. `npm run boundaries` checks the tree;
// test/boundaries plants one violation of each rule and proves that it is found.

const components = '(server|relay|mirror|tentacle)';
/** Rooms of the server that stand side by side above the task engine. */
const features = 'access|deployments|enrolment|health|inventory|mirrors|packages|projects|scripts|upgrades';
/** What the features stand on, beside the task engine, which has a stricter rule. */
const foundations = 'events|topology';
const tests = '(\\.test\\.ts$|^test/|^bench/)';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'A cycle means that two modules are one and cannot be read, tested or replaced alone.',
      from: { pathNot: '^proto/gen/' },
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      comment: 'A module nobody imports and that imports nothing is left over.',
      from: {
        orphan: true,
        pathNot: ['\\.test\\.ts$', '^proto/gen/', '\\.d\\.ts$', '^bin/', '^bench/', '^build/', '^test/'],
      },
      to: {},
    },
    {
      name: 'nothing-unresolvable',
      severity: 'error',
      comment: 'An import that resolves to nothing hides from every other rule.',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'components-talk-over-the-wire',
      severity: 'error',
      comment:
        'Server, relay, mirror and tentacle are separate processes on separate machines: what they share is the protocol.',
      from: { path: `^${components}/`, pathNot: tests },
      to: { path: `^${components}/`, pathNot: '^$1/' },
    },
    {
      name: 'cli-is-on-top',
      severity: 'error',
      comment: 'The executable starts the components; one that imports it could not be started by anything else.',
      from: { path: '^(server|relay|mirror|tentacle|node|host|mesh|certs|lib|contract|proto)/', pathNot: tests },
      to: { path: '^(cli|bin)/' },
    },
    {
      name: 'server-without-node',
      severity: 'error',
      comment: 'node/ is what every node but a server does: the server is on the other end of its reports and joins.',
      from: { path: '^server/', pathNot: tests },
      to: { path: '^node/' },
    },
    {
      name: 'node-knows-no-component',
      severity: 'error',
      comment: 'Relay, mirror and tentacle share node/; code for one of them belongs there.',
      from: { path: '^node/', pathNot: tests },
      to: { path: '^(server|relay|mirror|tentacle|cli|bin)/' },
    },
    {
      name: 'host-knows-no-component',
      severity: 'error',
      comment:
        'host/ looks after the software and the services of this machine, also while no component runs: it needs none of them, and no mesh.',
      from: { path: '^host/', pathNot: tests },
      to: { path: '^(mesh|node|server|relay|mirror|tentacle|cli|bin)/' },
    },
    {
      name: 'host-disk-is-lowest',
      severity: 'error',
      comment: 'What lies on the disk of a host is whole without a change of its version in progress, or any service.',
      from: { path: '^host/disk/', pathNot: tests },
      to: { path: '^host/(versions|services)/' },
    },
    {
      name: 'components-only-tell-their-status',
      severity: 'error',
      comment:
        'Services and versions are changed by the command line as root; a component says how it is, and no more.',
      from: { path: `^${components}/`, pathNot: tests },
      to: { path: '^host/', pathNot: '^host/status\\.ts$' },
    },
    {
      name: 'mesh-knows-no-component',
      severity: 'error',
      comment:
        'The mesh carries bytes between nodes for whatever is above it: services are names in a table that the node hands in.',
      from: { path: '^mesh/', pathNot: tests },
      to: { path: '^(contract/services\\.ts$|(node|host|server|relay|mirror|tentacle|cli|bin)/)' },
    },
    {
      name: 'mesh-base-is-lowest',
      severity: 'error',
      comment: 'Interface, limits, denials, services and the messages of the wire are below every room of the mesh.',
      from: { path: '^mesh/(?!mesh\\.ts$|echo\\.ts$)[^/]+\\.ts$', pathNot: tests },
      to: { path: '^mesh/([^/]+/|(mesh|echo)\\.ts$)' },
    },
    {
      name: 'mesh-tunnel-below-link',
      severity: 'error',
      comment: 'A tunnel is a stream on a link that it does not know; the session of the link creates it.',
      from: { path: '^mesh/tunnel/', pathNot: tests },
      to: { path: '^mesh/((link|e2e|enrolment|routing)/|(mesh|echo)\\.ts$)' },
    },
    {
      name: 'mesh-link-below-e2e',
      severity: 'error',
      comment: 'A link carries tunnels; who their endpoints are, and where they go, is decided above it.',
      from: { path: '^mesh/link/', pathNot: tests },
      to: { path: '^mesh/((e2e|enrolment|routing)/|(mesh|echo)\\.ts$)' },
    },
    {
      name: 'mesh-e2e-over-any-transport',
      severity: 'error',
      comment: 'End-to-end TLS runs over any stream: it needs no link, no route and no enrolment.',
      from: { path: '^mesh/e2e/', pathNot: tests },
      to: { path: '^mesh/((link|enrolment|routing)/|(mesh|echo)\\.ts$)' },
    },
    {
      name: 'mesh-enrolment-below-routing',
      severity: 'error',
      comment: 'A peer without a certificate gets a bare stream; the forwarder decides where it goes.',
      from: { path: '^mesh/enrolment/', pathNot: tests },
      to: { path: '^mesh/((e2e|routing)/|(mesh|echo)\\.ts$)' },
    },
    {
      name: 'mesh-routing-below-mesh',
      severity: 'error',
      comment: 'mesh.ts puts the rooms together; a room that imports it could not be tested alone.',
      from: { path: '^mesh/routing/', pathNot: tests },
      to: { path: '^mesh/(mesh|echo)\\.ts$' },
    },
    {
      name: 'certs-knows-no-mesh',
      severity: 'error',
      comment: 'Identity is the lowest layer: the mesh is built on it, so it cannot be built on the mesh.',
      from: { path: '^certs/', pathNot: tests },
      to: { path: '^(mesh|node|host|server|relay|mirror|tentacle|cli|bin)/' },
    },
    {
      name: 'lib-knows-no-component',
      severity: 'error',
      comment:
        'lib/ is what two or more components need; what knows one of them, the mesh or identity belongs there instead.',
      from: { path: '^lib/', pathNot: tests },
      to: { path: '^(certs|mesh|node|host|server|relay|mirror|tentacle|cli|bin)/' },
    },
    {
      name: 'generated-stands-alone',
      severity: 'error',
      comment: 'The generated wire types are regenerated and compared: they may depend on nothing of ours.',
      from: { path: '^proto/gen/' },
      to: { pathNot: ['^proto/gen/', 'node_modules/'] },
    },
    {
      name: 'contract-stands-alone',
      severity: 'error',
      comment:
        'The contract is what server, command line and dashboard share: it may load in a browser, and nothing of one side may hang on it. Schemas need TypeBox, and nothing else.',
      from: { path: '^contract/', pathNot: tests },
      to: { pathNot: ['^contract/', 'node_modules/typebox/'] },
    },
    {
      name: 'cli-takes-shapes-from-the-contract',
      severity: 'error',
      comment:
        'The command line reads what the API answers, so its types are those of contract/: a row of the store is not an answer. It may start the server and run its operations on a data folder.',
      from: { path: '^cli/', pathNot: tests },
      to: { path: '^server/(?!operations/)[^/]+/' },
    },
    {
      name: 'server-store-is-lowest',
      severity: 'error',
      comment: 'Inside the server: api → the features → tasks → store. The store knows rows and nobody above it.',
      from: { path: '^server/store/', pathNot: tests },
      to: { path: '^server/(?!store/)' },
    },
    {
      name: 'server-tasks-on-store-only',
      severity: 'error',
      comment: 'The task engine runs any kind of task; it may not know one, nor what offers them over HTTP.',
      from: { path: '^server/tasks/', pathNot: tests },
      to: { path: '^server/(?!tasks/|store/)' },
    },
    {
      name: 'server-domains-below-api',
      severity: 'error',
      comment: 'Features are called by the API and put together by the server, never the other way round.',
      from: { path: `^server/(${features}|${foundations})/`, pathNot: tests },
      to: { path: '^server/(api/|[^/]+\\.ts$)' },
    },
    {
      name: 'server-operations-without-api',
      severity: 'error',
      comment: 'Operations work on a data folder, also while no server runs: they may not need its HTTP API.',
      from: { path: '^server/operations/', pathNot: tests },
      to: { path: '^server/api/' },
    },
    {
      name: 'server-foundations-below-features',
      severity: 'error',
      comment: 'Topology and events serve every feature: one that they import could not do without the others.',
      from: { path: `^server/(${foundations})/`, pathNot: tests },
      to: { path: `^server/(${features})/` },
    },
    {
      name: 'server-features-by-their-index',
      severity: 'error',
      comment: "What one feature may use of another is in that one's index.ts; the rest may change without asking.",
      from: { path: `^server/(${features})/`, pathNot: tests },
      to: { path: `^server/(${features})/`, pathNot: ['^server/$1/', '^server/[^/]+/index\\.ts$'] },
    },
    {
      name: 'fastify-at-the-http-edge',
      severity: 'error',
      comment:
        'HTTP belongs to the API and the mirror; domain code that sees a request cannot be called by anything else.',
      from: { pathNot: ['^server/api/', '^mirror/', tests] },
      to: { path: 'node_modules/(fastify|@fastify)/' },
    },
    {
      name: 'database-only-in-the-store',
      severity: 'error',
      comment: 'One store, two dialects: queries elsewhere would escape the behaviour suite and the lease fence.',
      from: { pathNot: ['^server/store/', '^lib/files/data-lock\\.ts$', tests] },
      to: { path: ['node_modules/(kysely|pg)/', '^(node:)?sqlite$'] },
    },
    {
      name: 'forge-only-in-certs',
      severity: 'error',
      comment: 'node-forge builds certificates and verifies nothing: it stays where that is known.',
      from: { pathNot: ['^certs/', tests] },
      to: { path: 'node_modules/node-forge/' },
    },
    {
      name: 'authority-only-in-the-server',
      severity: 'error',
      comment:
        "The authority's key is on servers and nowhere else; code that signs with it must not load on other nodes.",
      from: { pathNot: ['^server/', '^cli/', tests] },
      to: { path: '^certs/authority\\.ts$' },
    },
    {
      name: 'product-never-imports-tests',
      severity: 'error',
      comment: 'Tests, benches and the build are not shipped.',
      from: {
        path: '^(bin|certs|cli|contract|host|lib|mesh|mirror|node|relay|server|tentacle)/',
        pathNot: '\\.test\\.ts$',
      },
      to: { path: '^(test|bench|build)/' },
    },
    {
      name: 'product-on-declared-dependencies',
      severity: 'error',
      comment: 'An undeclared or development dependency is missing where Isthmus is installed.',
      from: {
        path: '^(bin|certs|cli|contract|host|lib|mesh|mirror|node|relay|server|tentacle)/',
        pathNot: '\\.test\\.ts$',
      },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^test/boundaries/planted/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.cjs', '.json'],
      conditionNames: ['import', 'require', 'node', 'types', 'default'],
      exportsFields: ['exports'],
    },
  },
};
