// Starts a script as a process group of its own, under a wrapper that outlives the agent and records the exit code.
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { IsthmusError } from '../../lib/errors.ts';
import type { Workspace } from './workspace.ts';

/**
 * The wrapper, for /bin/sh: arguments are the claim file, the exit file, then the command. It takes the claim or ends;
 * it survives the signals that end the group, since it has to write down how the script took them; it writes the code
 * in place, in one write. Builtins only, so that it costs one small process.
 */
const wrapper = `trap : TERM INT HUP QUIT
set -C
{ : > "$1"; } 2>/dev/null || exit 125
set +C
exitFile=$2
shift 2
"$@"
code=$?
printf '%-8s\\n' "$code" 1<>"$exitFile"
exit "$code"
`;

/** What the wrapper ends with when it could not take the claim. */
export const claimRefusedCode = 125;

interface SpawnOptions {
  readonly workspace: Workspace;
  readonly attempt: number;
  /** Becoming the script user, the interpreter and its options; the path of the body comes behind. */
  readonly command: readonly string[];
  readonly workingFolder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Starts the wrapper and resolves when the system has started it; SPAWN_FAILED when it refused. */
export async function spawnScript(options: SpawnOptions): Promise<ChildProcess> {
  const { workspace, attempt, command, workingFolder, environment } = options;
  // Appending, so that the agent may cut a file that nobody will read while the script goes on writing.
  const files: number[] = [];
  try {
    for (const path of [workspace.stdout, workspace.stderr]) files.push(openSync(path, 'a', 0o600));
    const paths = [workspace.claim(attempt), workspace.exit];
    const words = ['-c', wrapper, 'isthmus-script', ...paths, ...command, workspace.body];
    const stdio: StdioOptions = ['ignore', ...files];
    const child = spawn('/bin/sh', words, { cwd: workingFolder, env: environment, detached: true, stdio });
    await once(child, 'spawn');
    child.unref();
    return child;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new IsthmusError('SPAWN_FAILED', `the script could not be started: ${reason}`, { cause: error });
  } finally {
    for (const file of files) closeSync(file);
  }
}
