// Names of environment variables that change which code a program loads or how it runs: the dynamic linker's, the C
// library's, the interpreters' and git's. Neither a project's variable nor a script's payload may carry one.

const NAMES: ReadonlySet<string> = new Set([
  ...['BASHOPTS', 'BASH_ENV', 'BASH_XTRACEFD', 'CDPATH', 'ENV', 'GLOBIGNORE', 'IFS', 'POSIXLY_CORRECT'],
  ...['PROMPT_COMMAND', 'PS4', 'SHELLOPTS'],
  ...['GCONV_PATH', 'GETCONF_DIR', 'GLIBC_TUNABLES', 'HOSTALIASES', 'LOCPATH', 'NLSPATH', 'RESOLV_HOST_CONF'],
  ...['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NODE_PATH', 'NODE_REPL_EXTERNAL_MODULE'],
  ...['OPENSSL_CONF', 'OPENSSL_ENGINES', 'OPENSSL_MODULES', 'SSLKEYLOGFILE'],
  ...['PERL5DB', 'PERL5LIB', 'PERL5OPT', 'PERLLIB', 'RUBYLIB', 'RUBYOPT'],
  ...['CLASSPATH', 'JAVA_TOOL_OPTIONS', 'JDK_JAVA_OPTIONS', '_JAVA_OPTIONS', 'PSMODULEPATH'],
]);
const PREFIXES = ['LD_', 'DYLD_', 'BASH_FUNC_', 'GIT_', 'MALLOC_', 'PYTHON'];

/** Whether a variable of this name, in whatever case, changes how programs run. */
export function changesPrograms(name: string): boolean {
  const upper = name.toUpperCase();
  return NAMES.has(upper) || PREFIXES.some((prefix) => upper.startsWith(prefix));
}
