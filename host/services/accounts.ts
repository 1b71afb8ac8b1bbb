// The accounts of this host's services: members of no other group, and nobody logs in to them.
import { findUser, type Account } from '../../lib/accounts.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { runProgram, type RunProgram } from '../../lib/programs.ts';

/** Runs the server, relay and mirror. */
export const SERVICE_ACCOUNT = 'isthmus';
/** Runs the scripts of a tentacle, unless another is named. */
export const SCRIPT_ACCOUNT = 'isthmus-scripts';

/** Programs that scripts call keep their own files there. */
const SCRIPT_HOME = ['--create-home', '--home-dir', '/var/lib/isthmus/scripts', '--key', 'UMASK=0077'];
const NO_HOME = ['--no-create-home', '--home-dir', '/nonexistent'];

/** The account of this name, created where it is missing. SERVICE_UNSUPPORTED where that cannot be done. */
export async function ensureAccount(
  name: typeof SERVICE_ACCOUNT | typeof SCRIPT_ACCOUNT,
  run: RunProgram = runProgram,
): Promise<Account> {
  const found = await findUser(name);
  if (found !== undefined) return found;
  const home = name === SCRIPT_ACCOUNT ? SCRIPT_HOME : NO_HOME;
  try {
    await run('useradd', '--system', '--user-group', ...home, '--shell', '/usr/sbin/nologin', name);
  } catch (cause) {
    throw noAccount(name, cause);
  }
  const created = await findUser(name);
  if (created === undefined) throw noAccount(name);
  return created;
}

/** SERVICE_UNSUPPORTED where the account is missing and nothing can create it. */
export async function requireAccount(name: string, run: RunProgram = runProgram): Promise<void> {
  if ((await findUser(name)) !== undefined) return;
  await run('useradd', '--help').catch((cause: unknown) => {
    throw noAccount(name, cause);
  });
}

function noAccount(name: string, cause?: unknown): IsthmusError {
  return new IsthmusError('SERVICE_UNSUPPORTED', `the account ${name} cannot be created by useradd`, {
    remedy: `Create the system account ${name} in the way of this machine, then try again.`,
    cause,
  });
}
