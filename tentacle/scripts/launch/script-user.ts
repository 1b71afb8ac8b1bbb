// Resolves the user that scripts run as. With `--script-user` the operating system protects the agent's keys and other
// workspaces from a script; without it nothing does, and the tentacle warns of that.
import { IsthmusError } from '../../../contract/errors.ts';
import { ownAccount } from '../../../lib/own-account.ts';
import { findUser } from '../../../lib/accounts.ts';
import { letThrough } from '../../data-folder.ts';
import { DEFAULT_PATH, runProgram } from '../../../lib/programs.ts';
import { findProgram } from './interpreters.ts';

export interface ScriptUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** The command in front of the interpreter that switches to this user; empty for the agent's own user. */
  readonly become: readonly string[];
  /** Whether the operating system separates scripts from the agent. */
  readonly isolated: boolean;
}

/** The user for scripts. Without a name it is the agent's own user, which isolates nothing. */
export async function resolveScriptUser(name: string | undefined): Promise<ScriptUser> {
  const self = ownAccount();
  const own = { ...self, become: [], isolated: false };
  if (name === undefined || name === self.name) return own;
  const account = await findUser(name);
  if (account === undefined) {
    throw new IsthmusError('SCRIPT_USER_UNKNOWN', `there is no user "${name}" on this machine`, {
      field: 'scriptUser',
    });
  }
  if (self.uid !== 0) {
    throw new IsthmusError('SCRIPT_USER_NEEDS_ROOT', `${self.name} cannot start processes as ${name}`, {
      field: 'scriptUser',
    });
  }
  if (account.uid === 0) return { ...own, name, home: account.home };
  return { name, ...account, become: becomeCommand(name, account), isolated: true };
}

/**
 * Lets the script user reach the workspaces, and nothing else of the agent. SCRIPT_USER_NO_ACCESS when a folder above
 * is closed.
 */
export async function grantScriptUserAccess(user: ScriptUser, dataDir: string, workspaces: string): Promise<void> {
  if (!user.isolated) return;
  await letThrough(dataDir);
  const [program, ...options] = user.become;
  try {
    await runProgram(program!, ...options, '/bin/sh', '-c', 'cd "$0"', workspaces);
  } catch (error) {
    throw new IsthmusError('SCRIPT_USER_NO_ACCESS', `${user.name} cannot reach ${workspaces}`, {
      field: 'scriptUser',
      cause: error,
    });
  }
}

function becomeCommand(name: string, account: { uid: number; gid: number }): readonly string[] {
  const setpriv = findProgram('setpriv', DEFAULT_PATH);
  if (setpriv !== undefined) {
    return [setpriv, `--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups', '--'];
  }
  const runuser = findProgram('runuser', DEFAULT_PATH);
  if (runuser !== undefined) return [runuser, '-u', name, '--'];
  throw new IsthmusError(
    'INTERPRETER_MISSING',
    'scriptUser of config.yaml needs setpriv or runuser (package util-linux)',
    {
      field: 'scriptUser',
    },
  );
}
