import { expect, it } from 'vitest';
import { changesPrograms } from './forbidden-env.ts';

it.each(['LD_PRELOAD', 'NODE_OPTIONS', 'BASH_ENV', 'bash_env', 'MALLOC_ARENA_MAX', 'OPENSSL_CONF', 'GIT_SSH_COMMAND'])(
  '%s changes programs',
  (name) => {
    expect(changesPrograms(name)).toBe(true);
  },
);

it.each(['PATH', 'LANG', 'DATABASE_URL', 'NODE_ENV', 'OLD_PRELOAD', 'DIGIT_'])('%s does not', (name) => {
  expect(changesPrograms(name)).toBe(false);
});
