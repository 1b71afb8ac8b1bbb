// The rules a reader may count on: promises are awaited or handled, switches over unions are whole, nothing is `any`,
// and the process's own environment and exit belong to one place each.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const processEnv = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'Only lib/config reads the environment; take a resolved setting instead.',
};
const processExit = {
  selector: "CallExpression[callee.object.name='process'][callee.property.name='exit']",
  message: 'Only cli/ ends the process; return how it ended instead.',
};

const wallClockDuration = {
  selector:
    'BinaryExpression[operator=/^([<>]=?|-)$/] > ' +
    "CallExpression[callee.object.name='Date'][callee.property.name='now']",
  message: 'Measure time by performance.now(): the clock of the machine may be set meanwhile.',
};

const dataConstant = {
  selector:
    'Program > :matches(VariableDeclaration, ExportNamedDeclaration > VariableDeclaration)[kind="const"] > ' +
    'VariableDeclarator[id.name=/^[a-z]/]:matches([init.type="ObjectExpression"], ' +
    '[init.expression.type="ObjectExpression"], [init.expression.expression.type="ObjectExpression"]):not(:has(:function))',
  message: 'Data that never changes is UPPER_CASE at module level.',
};

/** Who can change a folder could put a link where the agent, which may be root, opens a file. */
const followedLinks = [
  {
    selector:
      "BinaryExpression[operator='|']:not(BinaryExpression > *):not(CallExpression[callee.name='openOwn'] > *)" +
      ':has(MemberExpression[property.name=/^O_(RDONLY|WRONLY|RDWR)$/])' +
      ":not(:has(MemberExpression[property.name='O_NOFOLLOW']))",
    message: 'Open with O_NOFOLLOW, or by openOwn (lib/files/private.ts).',
  },
  {
    selector:
      'CallExpression[callee.name=/^open(Sync)?$/]' +
      ":matches([arguments.1.type='Literal'], [arguments.1.object.name='constants'], [arguments.length=1])",
    message: 'Name the flags, O_NOFOLLOW among them, or open by openOwn (lib/files/private.ts).',
  },
  {
    selector:
      'CallExpression[callee.name=/^(write|append)FileSync$/]' +
      ":not(:matches([arguments.0.name='file'], [arguments.0.property.name='file']))",
    message: 'Write to a descriptor (`file`), which openOwn has opened.',
  },
];
const BY_PATH = ['appendFile', 'copyFile', 'cp', 'truncate', 'writeFile'];
const writesByPath = {
  paths: [
    { name: 'node:fs/promises', importNames: BY_PATH },
    { name: 'node:fs', importNames: [...BY_PATH, 'copyFileSync', 'cpSync', 'createWriteStream', 'truncateSync'] },
  ].map((path) => ({ ...path, message: 'It follows a link: open by openOwn (lib/files/private.ts), then write.' })),
};

const MOMENTS = [
  'cli/render/units.ts',
  'mesh/e2e/credentials.ts',
  'mesh/link/kept-windows.ts',
  'mirror/orders.ts',
  'server/api/port/certificate.ts',
  'server/api/routes/mesh.ts',
  'server/enrolment/enrolment.ts',
  'server/health/start.ts',
  'server/tasks/context.ts',
  'server/tasks/execution/completion-reporter.ts',
  'tentacle/packages/handlers.ts',
  'tentacle/scripts/engine.ts',
  'tentacle/scripts/recovery/find-started.ts',
  'tentacle/scripts/recovery/recovery.ts',
];

const nodeGlobals = 'module process console Buffer URL fetch setTimeout clearTimeout setInterval clearInterval'.split(
  ' ',
);

export default tseslint.config(
  { ignores: ['node_modules/', 'out/', 'coverage/', '.isthmus/', 'proto/gen/', 'test/boundaries/planted/'] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Fastify's reply can be awaited, and need not be.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafePromises: [{ from: 'package', package: 'fastify', name: 'FastifyReply' }] },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/promise-function-async': 'off',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-syntax': ['error', processEnv, processExit, dataConstant, wallClockDuration],
      'max-lines': ['error', { max: 550 }],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    // Constants in one style: a value of a module that never changes is UPPER_CASE.
    files: ['**/*.ts'],
    ignores: ['**/*.test.ts', 'test/**', 'bench/**', 'build/**', 'vitest.config.ts'],
    rules: {
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'variable',
          modifiers: ['const', 'global'],
          types: ['boolean', 'number', 'string', 'array'],
          format: ['UPPER_CASE'],
        },
      ],
    },
  },
  {
    // No failure of background work ends the process: `void` would leave a promise without anybody who hears of it.
    files: ['**/*.ts'],
    ignores: ['**/*.test.ts', 'test/**', 'bench/**', 'build/**', 'vitest.config.ts'],
    rules: {
      'no-void': 'error',
      'no-restricted-globals': ['error', { name: 'setInterval', message: 'Use `every` (lib/async/background.ts).' }],
    },
  },
  // A link's session ends itself when its heartbeat fails.
  {
    files: ['lib/async/background.ts', 'mesh/link/heartbeat.ts'],
    rules: { 'no-restricted-globals': 'off' },
  },
  {
    files: ['lib/config/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', processExit, dataConstant, wallClockDuration] },
  },
  {
    files: ['cli/**/*.ts', 'bin/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', processEnv, dataConstant, wallClockDuration] },
  },
  {
    // These compare with moments that are signed, stored or shown.
    files: MOMENTS,
    rules: { 'no-restricted-syntax': ['error', processEnv, processExit, dataConstant] },
  },
  {
    files: ['tentacle/**/*.ts'],
    // It opens links of /proc, which lead to what a process has open.
    ignores: [...MOMENTS, 'tentacle/scripts/workspace/open-files.ts'],
    rules: {
      'no-restricted-syntax': ['error', processEnv, processExit, dataConstant, wallClockDuration, ...followedLinks],
    },
  },
  {
    files: MOMENTS.filter((file) => file.startsWith('tentacle/')),
    rules: { 'no-restricted-syntax': ['error', processEnv, processExit, dataConstant, ...followedLinks] },
  },
  {
    files: ['tentacle/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: { 'no-restricted-imports': ['error', writesByPath] },
  },
  {
    files: ['**/*.test.ts', 'test/**/*.ts', 'bench/**/*.ts', 'build/**/*.ts', 'vitest.config.ts'],
    rules: {
      'no-restricted-syntax': 'off',
      'no-console': 'off',
      // Test doubles and harnesses are plain objects whose functions are taken apart.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: Object.fromEntries(nodeGlobals.map((name) => [name, 'readonly'])) },
  },
);
