import { expect, it } from 'vitest';
import { resolveConfig } from '../lib/config/resolve.ts';
import { serverConfigSchema } from './config.ts';

/** The interval of health checks as it is resolved from a word of the command line. */
function intervalOf(word: string): number | undefined {
  const options = { 'mesh.listen': '[::]:8444', 'api.listen': '[::1]:8443', healthCheckIntervalS: word };
  return resolveConfig(serverConfigSchema, { options, env: () => undefined }).healthCheckIntervalS;
}

it.each(['1', '4', '-1', '604801', '5m'])('rejects %s as the time between health checks', (word) => {
  const must = 'must be a plain number of seconds, without a unit: 0 for never, or 5 to 604800';
  const message = `--health-check-interval-s: "healthCheckIntervalS" ${must}`;
  expect(() => intervalOf(word)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message }));
});

it('takes 0 for never, and 5 seconds or more', () => {
  expect(['0', '5', '604800'].map(intervalOf)).toEqual([0, 5, 604_800]);
});
