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

const MOMENTS = [
  'cli/render/units.ts',
  'mesh/e2e/credentials.ts',
  'server/api/certificate.ts',
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
  { ignores: ['node_modules/', 'dist/', 'coverage/', '.isthmus/', 'proto/gen/', 'test/boundaries/planted/'] },
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
