// A variable whose name is close to one of Isthmus's is rejected; others are accepted.
import { expect, it } from 'vitest';
import { settingsOf } from '../lib/config/schema.ts';
import { mirrorConfigSchema } from '../mirror/config.ts';
import { relayConfigSchema } from '../relay/config.ts';
import { serverConfigSchema } from '../server/config.ts';
import { tentacleConfigSchema } from '../tentacle/config.ts';
import { COMMAND_VARIABLES, rejectMisspeltVariables } from './isthmus-env.ts';

it('no setting of a component shares a variable of the command line', () => {
  const schemas = { serverConfigSchema, relayConfigSchema, mirrorConfigSchema, tentacleConfigSchema };
  for (const [name, schema] of Object.entries(schemas)) {
    const shared = settingsOf(schema).filter(({ variable }) => variable in COMMAND_VARIABLES);
    expect({ name, shared: shared.map(({ variable }) => variable) }).toEqual({ name, shared: [] });
  }
});

it.each([
  ['ISTHMUS_SCRIPT_USR', 'ISTHMUS_SCRIPT_USER'],
  ['ISTHMUS_SERVR', 'ISTHMUS_SERVER'],
  ['ISTHMUS_LOGLEVEL', 'ISTHMUS_LOG_LEVEL'],
  ['ISTHMUS_MESH_LISTNE', 'ISTHMUS_MESH_LISTEN'],
  ['ISTHMUS_HEALTH_CHECK_INTERVAL', 'ISTHMUS_HEALTH_CHECK_INTERVAL_S'],
  ['ISTHMUS_Server', 'ISTHMUS_SERVER'],
  ['ISTHMUS_SERVER_URL', 'ISTHMUS_SERVER'],
  ['ISTHMUS_API_KEY', 'ISTHMUS_API_KEY_FILE, the file that holds the key'],
  ['ISTHMUS_CA', 'ISTHMUS_CA_FILE'],
  ['ISTHMUS_MASTER_KEY', 'ISTHMUS_MASTER_KEY_FILE'],
  ['ISTHMUS_TRUSTED_PROXIES', 'api.trustedProxies in config.yaml, which a variable cannot set'],
  ['ISTHMUS_API_TRUSTED_PROXIES', 'api.trustedProxies in config.yaml, which a variable cannot set'],
])('%s: did you mean %s?', async (name, meant) => {
  await expect(rejectMisspeltVariables(['ISTHMUS_SERVER', name])).rejects.toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      field: name,
      message: `${name} is not a variable of Isthmus; did you mean ${meant}?`,
    }),
  );
});

it.each([
  [
    'those of every command and component',
    ['ISTHMUS_CONTEXT', 'ISTHMUS_LISTEN', 'ISTHMUS_FEED_URL', 'ISTHMUS_API_LISTEN'],
  ],
  ['those that a script has', ['ISTHMUS_TASK', 'ISTHMUS_MACHINE', 'ISTHMUS_RELEASE']],
  [
    'those that Kubernetes sets for a service',
    ['ISTHMUS_SERVICE_HOST', 'ISTHMUS_PORT_8444_TCP_ADDR', 'ISTHMUS_SERVER_PORT', 'ISTHMUS_SERVER_SERVICE_PORT'],
  ],
  ['those of the tests', ['ISTHMUS_NO_SKIP', 'ISTHMUS_LONG', 'ISTHMUS_TEST_CANARY']],
])('accepts %s', async (_what, names) => {
  await rejectMisspeltVariables(names);
});
