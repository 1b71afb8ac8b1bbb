// The only place that reads the process's environment; everything else receives resolved settings.

/** The value of an environment variable; undefined when it is unset or empty. */
export function envVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

/** The names of the set environment variables with a prefix. */
export function envNames(prefix: string): string[] {
  return Object.keys(process.env).filter((name) => name.startsWith(prefix) && envVariable(name) !== undefined);
}

/**
 * The environment for a component or command that gets its settings from options and files: this process's own with
 * `changes`, without Isthmus settings, which are meant for another component. Only the log level is kept.
 */
export function componentEnv(changes: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('ISTHMUS_') || name === 'ISTHMUS_LOG_LEVEL' || name === 'ISTHMUS_LOG_FORMAT',
  );
  return { ...Object.fromEntries(kept), ...changes };
}

/** The set variables of an allow-list, for a child process. */
export function inheritedEnv(names: readonly string[]): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
