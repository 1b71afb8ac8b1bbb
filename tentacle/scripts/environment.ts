// The environment a script gets: an allow-list of the agent's own, and what its payload names. Never the rest of the
// agent's environment, and no name that would make an interpreter load foreign code.
import { IsthmusError } from '../../lib/errors.ts';

/** What a script inherits from the agent; everything else of the agent's environment stays with the agent. */
export const inheritedNames = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'] as const;

export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const forbiddenNames = new Set([
  ...['BASH_ENV', 'ENV', 'SHELLOPTS', 'BASHOPTS', 'PROMPT_COMMAND', 'PS4', 'IFS', 'CDPATH', 'GLOBIGNORE'],
  ...['NODE_OPTIONS', 'NODE_PATH', 'NODE_REPL_EXTERNAL_MODULE', 'NODE_EXTRA_CA_CERTS'],
  ...['PYTHONSTARTUP', 'PYTHONHOME', 'PYTHONPATH', 'PERL5OPT', 'PERL5LIB', 'PERL5DB', 'RUBYOPT', 'RUBYLIB'],
  ...['JAVA_TOOL_OPTIONS', '_JAVA_OPTIONS', 'JDK_JAVA_OPTIONS', 'CLASSPATH', 'PSModulePath'],
  ...['GCONV_PATH', 'GLIBC_TUNABLES', 'LOCPATH', 'NLSPATH', 'HOSTALIASES', 'RESOLV_HOST_CONF', 'GETCONF_DIR'],
  ...['GIT_SSH', 'GIT_SSH_COMMAND', 'GIT_EXEC_PATH', 'OPENSSL_CONF', 'OPENSSL_ENGINES'],
]);
const forbiddenBeginnings = ['LD_', 'DYLD_', 'BASH_FUNC_', 'MALLOC_'];
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether a payload may set this variable. */
export function isForbiddenVariable(name: string): boolean {
  return forbiddenNames.has(name) || forbiddenBeginnings.some((beginning) => name.startsWith(beginning));
}

/** Throws ENVIRONMENT_FORBIDDEN, naming the variable, when a payload's environment may not be given to a script. */
export function checkEnvironment(environment: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(environment)) {
    const field = `environment.${name}`;
    if (!variableName.test(name)) {
      throw new IsthmusError('ENVIRONMENT_FORBIDDEN', `${JSON.stringify(name)} cannot name a variable`, { field });
    }
    if (isForbiddenVariable(name)) {
      throw new IsthmusError('ENVIRONMENT_FORBIDDEN', `${name} would change what the interpreter loads`, { field });
    }
    if (value.includes('\0')) {
      throw new IsthmusError('ENVIRONMENT_FORBIDDEN', `the value of ${name} contains a NUL`, { field });
    }
  }
}

interface ScriptOwner {
  readonly name: string;
  readonly home: string;
}

/** The whole environment of a script. The payload comes last: it may set PATH or LANG, and may not be anyone else. */
export function scriptEnvironment(
  inherited: Readonly<Record<string, string>>,
  owner: ScriptOwner,
  payload: Readonly<Record<string, string>>,
): Record<string, string> {
  return { PATH: defaultPath, ...inherited, HOME: owner.home, USER: owner.name, LOGNAME: owner.name, ...payload };
}
