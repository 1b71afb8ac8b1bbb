// The one place that reads the process's environment. Everything else is told what it needs.

/** The value of an environment variable; undefined when it is unset or empty. */
export function envVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

/** The names of the environment variables that are set and begin like that. */
export function envNames(prefix: string): string[] {
  return Object.keys(process.env).filter((name) => name.startsWith(prefix) && envVariable(name) !== undefined);
}

/**
 * The environment for a part or command that is told its settings by options and files: this process's own without
 * settings of Isthmus, which are meant for another part, and with `changes`. How much is logged is kept.
 */
export function componentEnv(changes: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('ISTHMUS_') || name === 'ISTHMUS_LOG_LEVEL',
  );
  return { ...Object.fromEntries(kept), ...changes };
}

/** The variables of an allow-list that are set, for handing to a child process. */
export function inheritedEnv(names: readonly string[]): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
