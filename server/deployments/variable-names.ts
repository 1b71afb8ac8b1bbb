// What a variable may be called, and the environment variable a script sees it as.
import { IsthmusError } from '../../lib/errors.ts';

/** As the variable syntax reads names inside `#{…}`, beginning with a letter or underscore. */
const shape = /^[A-Za-z_][A-Za-z0-9_.:[\]-]{0,199}$/;

/** Names that change which code runs, or how: a value that an editor of variables sets must never do that. */
const reserved: ReadonlySet<string> = new Set([
  'BASHOPTS',
  'BASH_ENV',
  'BASH_XTRACEFD',
  'CDPATH',
  'CLASSPATH',
  'ENV',
  'GCONV_PATH',
  'GLIBC_TUNABLES',
  'GLOBIGNORE',
  'HOME',
  'HOSTALIASES',
  'IFS',
  'JAVA_TOOL_OPTIONS',
  'JDK_JAVA_OPTIONS',
  'LOCPATH',
  'LOGNAME',
  'MALLOC_TRACE',
  'NLSPATH',
  'NODE_OPTIONS',
  'NODE_PATH',
  'PATH',
  'PERL5DB',
  'PERL5LIB',
  'PERL5OPT',
  'PERLLIB',
  'POSIXLY_CORRECT',
  'PROMPT_COMMAND',
  'PS4',
  'PWD',
  'PYTHONHOME',
  'PYTHONINSPECT',
  'PYTHONPATH',
  'PYTHONSTARTUP',
  'RESOLV_HOST_CONF',
  'RUBYLIB',
  'RUBYOPT',
  'SHELL',
  'SHELLOPTS',
  'TMPDIR',
  'USER',
  '_JAVA_OPTIONS',
]);
const reservedPrefixes = ['LD_', 'DYLD_', 'BASH_FUNC_', 'ISTHMUS_', 'GIT_'];

/** The environment variable that carries it: upper case, everything else than letters and digits an underscore. */
export function environmentName(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}

/** VARIABLE_NAME unless `name` may be used beside the project's `others`. */
export function checkVariableName(name: string, others: readonly string[]): void {
  if (!shape.test(name)) {
    throw refused(name, 'a name begins with a letter and has letters, digits and _ . : [ ] -, at most 200');
  }
  const asEnvironment = environmentName(name);
  if (reserved.has(asEnvironment) || reservedPrefixes.some((prefix) => asEnvironment.startsWith(prefix))) {
    throw refused(name, `scripts would see it as ${asEnvironment}, which changes how programs run`);
  }
  const taken = others.find((other) => other !== name && environmentName(other) === asEnvironment);
  if (taken !== undefined) throw refused(name, `scripts would see it as ${asEnvironment}, as they do ${taken}`);
}

function refused(name: string, why: string): IsthmusError {
  const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name;
  return new IsthmusError('VARIABLE_NAME', `variable ${JSON.stringify(shown)}: ${why}`, { field: 'name' });
}
