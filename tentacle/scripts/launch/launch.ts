// Turns a payload into a process: prepares command, folder and env, and has the launcher start it.
import type { ScriptPayload__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { Installation } from '../../installation.ts';
import type { ChildProcessIdentity, ScriptEnd, ScriptSpec } from '../../journal/records.ts';
import { scriptEnv } from './script-env.ts';
import type { StartedChildProcess } from './exit-file.ts';
import { findStarted } from '../recovery/find-started.ts';
import { interpreterCommand, requireProgram } from './interpreters.ts';
import { IsthmusError } from '../../../contract/errors.ts';
import { isDiskFull, reasonOf, retryShortage } from '../../system-errors.ts';
import type { Launcher, LaunchRequest } from './launcher.ts';
import { bootId } from '../../../lib/boot-id.ts';
import { startedAtMs } from './child-process.ts';
import type { ScriptUser } from './script-user.ts';
import { supervised } from './supervisor.ts';
import type { Workspace } from '../workspace/workspace.ts';

export interface LaunchContext {
  readonly user: ScriptUser;
  readonly launcher: Launcher;
  /** The part of the agent's env that scripts inherit. */
  readonly inherited: Readonly<Record<string, string>>;
  /** The PATH to find interpreters in. */
  readonly path: string;
  /** The folder of the release that a task staged for an installation; throws APPLICATION_MISSING. */
  readonly releaseFolder: (installation: Installation, task: string) => Promise<string>;
}

export type PreparedScript = Pick<LaunchRequest, 'command' | 'workingFolder' | 'env'>;

export type LaunchOutcome =
  | {
      readonly kind: 'started';
      readonly childProcess: ChildProcessIdentity;
      readonly startedAtMs: number;
      /** Resolves when the launcher reports its end, or is lost; undefined when it was lost before. */
      readonly exited: Promise<void> | undefined;
    }
  /** It does not run and never will; `startedAtMs` is 0 when it certainly never ran. */
  | { readonly kind: 'over'; readonly end: ScriptEnd; readonly startedAtMs: number };

/** Writes the files that a start needs. Idempotent: an earlier attempt may have done so. */
export async function prepareScript(
  { user, inherited, path, releaseFolder }: LaunchContext,
  workspace: Workspace,
  payload: ScriptPayload__Output,
  { task, spec: { installation } }: { readonly task: string; readonly spec: ScriptSpec },
): Promise<PreparedScript> {
  const script = [...user.become, ...interpreterCommand(payload.interpreter, path), workspace.body];
  const command = supervised(script, requireProgram('setsid', 'util-linux'));
  const workingFolder = installation === undefined ? workspace.work : await releaseFolder(installation, task);
  const env = scriptEnv(inherited, user, payload.env);
  workspace.prepare(payload.body, user);
  return { command, workingFolder, env };
}

/** Has the launcher start it; `starting` must be on the disk by now. */
export async function launchScript(
  launcher: Launcher,
  workspace: Workspace,
  attempt: number,
  prepared: PreparedScript,
  stopping: AbortSignal,
): Promise<LaunchOutcome> {
  const { stderr, exit } = workspace;
  const launch = await launcher.start({ stdout: workspace.stdout(attempt), stderr, exit, ...prepared });
  switch (launch.kind) {
    case 'started':
      return startedAs(launch.childProcess, launch.exited);
    case 'rejected':
      return { kind: 'over', end: launch, startedAtMs: 0 };
    case 'lost':
      return afterLoss(workspace, attempt, stopping);
  }
}

/** The launcher died with the order. The claim decides whether the script started, as after a restart of the agent. */
async function afterLoss(workspace: Workspace, attempt: number, stopping: AbortSignal): Promise<LaunchOutcome> {
  const claimed = await retryShortage(() => workspace.takeClaim(attempt), stopping);
  const started = claimed ? 'never' : await findStarted(workspace, attempt, stopping);
  switch (started) {
    case 'never': {
      const detail = 'the script was not started: its launcher was killed';
      return { kind: 'over', end: { kind: 'rejected', code: 'SPAWN_FAILED', detail }, startedAtMs: 0 };
    }
    case 'unknown': {
      const detail = 'the launcher was killed before it could report whether the script started';
      return { kind: 'over', end: { kind: 'interrupted', detail }, startedAtMs: Date.now() };
    }
    default:
      return startedAs(started, undefined);
  }
}

/** The error of a start that failed before the script could run; `what` could not be done to it. */
export function notStarted(error: unknown, what: string): IsthmusError {
  const message = `the script could not be ${what}: ${reasonOf(error)}`;
  if (!(error instanceof IsthmusError)) {
    return new IsthmusError(isDiskFull(error) ? 'DISK_FULL' : 'SPAWN_FAILED', message, { cause: error });
  }
  return error.code === 'INTERNAL' ? new IsthmusError('SPAWN_FAILED', message, { cause: error }) : error;
}

function startedAs({ pid, startTicks }: StartedChildProcess, exited: Promise<void> | undefined): LaunchOutcome {
  const childProcess = { pid, startTicks, bootId: bootId() };
  return { kind: 'started', childProcess, startedAtMs: startedAtMs(childProcess), exited };
}
