// The environment variables of Isthmus. Like a misspelt key of a file, a misspelt variable stops the command: it would
// be ignored, and scripts meant for a user of their own would run as root.
import { envNames } from '../lib/config/env.ts';
import { nearest } from '../lib/config/suggest.ts';
import { IsthmusError } from '../contract/errors.ts';

const PREFIX = 'ISTHMUS_';

/** The variables of the command line with their descriptions, in the order of its help. */
export const COMMAND_VARIABLES: Readonly<Record<string, string>> = {
  ISTHMUS_SERVER: 'the address of the API',
  ISTHMUS_CA_FILE: "the mesh's authority certificate",
  ISTHMUS_API_KEY_FILE: 'the file that holds the API key',
  ISTHMUS_CONTEXT: 'the context file (default ~/.config/isthmus/context.json)',
  ISTHMUS_LOG_FORMAT: 'how a started component logs: text, or json; text on a terminal',
  ISTHMUS_LOG_LEVEL: 'how much a started component logs: debug, info (default), warn, error',
};

/** Names that people try, and what they mean. */
const MEANT: Readonly<Record<string, string>> = {
  ISTHMUS_API_KEY: 'ISTHMUS_API_KEY_FILE, the file that holds the key',
  ISTHMUS_CA: 'ISTHMUS_CA_FILE',
  ISTHMUS_SERVER_URL: 'ISTHMUS_SERVER',
  ISTHMUS_URL: 'ISTHMUS_SERVER',
  ISTHMUS_TOKEN: '--token-file of `isthmus join`',
  ISTHMUS_TRUSTED_PROXIES: 'api.trustedProxies in config.yaml, which a variable cannot set',
  ISTHMUS_API_TRUSTED_PROXIES: 'api.trustedProxies in config.yaml, which a variable cannot set',
};

/** Variables that a script receives, and passes on when it runs this command. */
const SCRIPT_VARIABLES = ['TASK', 'STEP', 'MACHINE', 'PROJECT', 'RELEASE', 'ENVIRONMENT'].map((name) => PREFIX + name);

/** Loads the schemas of all components, which takes longer than most commands. */
async function knownVariables(): Promise<string[]> {
  const { settingsOf } = await import('../lib/config/schema.ts');
  const schemas = [
    (await import('../server/config.ts')).serverConfigSchema,
    (await import('../relay/config.ts')).relayConfigSchema,
    (await import('../mirror/config.ts')).mirrorConfigSchema,
    (await import('../tentacle/config.ts')).tentacleConfigSchema,
  ];
  const settings = schemas.flatMap((schema) => settingsOf(schema).map(({ variable }) => variable));
  return [...Object.keys(COMMAND_VARIABLES), ...SCRIPT_VARIABLES, ...settings];
}

/**
 * Throws CONFIG_INVALID for a variable whose name is close to one of Isthmus's. Other ISTHMUS_ variables are somebody
 * else's, such as those that Kubernetes sets for a service called isthmus.
 */
export async function rejectMisspeltVariables(names: readonly string[] = envNames(PREFIX)): Promise<void> {
  if (names.every((name) => Object.hasOwn(COMMAND_VARIABLES, name))) return;
  const known = await knownVariables();
  for (const name of names) {
    if (known.includes(name)) continue;
    const meant = MEANT[name] ?? beginning(name, known) ?? closeTo(name, known);
    if (meant === undefined) continue;
    throw new IsthmusError('CONFIG_INVALID', `${name} is not a variable of Isthmus; did you mean ${meant}?`, {
      field: name,
      remedy: 'Correct its name, or unset it.',
    });
  }
}

/** The variable whose first words these are: ISTHMUS_MASTER_KEY_FILE for ISTHMUS_MASTER_KEY. */
function beginning(name: string, known: readonly string[]): string | undefined {
  return name.split('_').length < 3 ? undefined : known.find((each) => each.startsWith(`${name}_`));
}

function closeTo(name: string, known: readonly string[]): string | undefined {
  // The common prefix would make every name close.
  const short = known.map((each) => each.slice(PREFIX.length));
  const meant = nearest(name.slice(PREFIX.length), short);
  return meant === undefined ? undefined : `${PREFIX}${meant}`;
}
