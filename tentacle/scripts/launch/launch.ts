// Turns a payload into a process: prepares command, folder and env, and has the launcher start it.
import type { ScriptPayload__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { Installation } from '../../installation.ts';
import type { ChildProcessIdentity, ScriptEnd, ScriptSpec } from '../../journal/records.ts';
import { scriptEnv } from './script-env.ts';
import type { StartedChildProcess } from './exit-file.ts';
import { findStarted } from '../recovery/find-started.ts';
import { interpreterCommand, requireProgram } from './interpreters.ts';
import type { Launcher, LaunchRequest } from './launcher.ts';
import { bootId, startedAtMs } from './child-process.ts';
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
): Promise<LaunchOutcome> {
  const { stderr, exit } = workspace;
  const launch = await launcher.start({ stdout: workspace.stdout(attempt), stderr, exit, ...prepared });
  switch (launch.kind) {
    case 'started':
      return startedAs(launch.childProcess, launch.exited);
    case 'rejected':
      return { kind: 'over', end: launch, startedAtMs: 0 };
    case 'lost':
      return afterLoss(workspace, attempt);
  }
}

/** The launcher died with the order. The claim decides whether the script started, as after a restart of the agent. */
async function afterLoss(workspace: Workspace, attempt: number): Promise<LaunchOutcome> {
  const detail = 'the launcher was killed before it could report whether the script started';
  if (workspace.takeClaim(attempt)) {
    return { kind: 'over', end: { kind: 'rejected', code: 'SPAWN_FAILED', detail }, startedAtMs: 0 };
  }
  const started = await findStarted(workspace, attempt);
  if (started !== undefined) return startedAs(started, undefined);
  return { kind: 'over', end: { kind: 'interrupted', detail }, startedAtMs: Date.now() };
}

function startedAs({ pid, startTicks }: StartedChildProcess, exited: Promise<void> | undefined): LaunchOutcome {
  const childProcess = { pid, startTicks, bootId: bootId() };
  return { kind: 'started', childProcess, startedAtMs: startedAtMs(childProcess), exited };
}
