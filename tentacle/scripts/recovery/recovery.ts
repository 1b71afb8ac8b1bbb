// Recovers each ticket when the agent starts again. A script that certainly never started may still start, once a server
// asks for it; a running one is followed again; one with an exit code has ended with it; everything else is
// interrupted, never guessed.
import { readFile } from 'node:fs/promises';
import { SKEW_MS } from '../../../certs/signer.ts';
import { bootId } from '../../../lib/boot-id.ts';
import { createMasker, type Masker } from '../../../lib/masking/masker.ts';
import type { ScriptPayload__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { retryShortage } from '../../system-errors.ts';
import type { ScriptEnd, TicketEntry, TicketState } from '../../journal/records.ts';
import { findStarted } from './find-started.ts';
import { decodePayload } from '../payload.ts';
import { isAlive, ledGroupIsAlive, startedAtMs } from '../launch/child-process.ts';
import { Script, type ScriptContext } from '../run/script.ts';
import type { WorkspaceSeal } from '../workspace/sealed.ts';
import { exitIsBeingWritten } from '../run/supervise.ts';

type StateIn<Phase extends TicketState['phase']> = TicketState & { readonly phase: Phase };

const REBOOTED = 'the machine was restarted while it ran';
const NEVER_STARTED = 'it was not started: the tentacle was killed just before';
const VANISHED = 'it was killed together with the tentacle, so its exit code is not known';

/**
 * Recovers one ticket of the journal. Resolves when its state is decided; the script then runs on in the background. One
 * that never started is held: the journal may be a copy, or an older state of this machine's, and the script may have
 * run elsewhere or since. Only the server knows whether it is still to run.
 */
export async function recover(context: ScriptContext, seal: WorkspaceSeal, entry: TicketEntry): Promise<Script> {
  const script = new Script(context, entry, { journalled: true });
  const { state } = entry;
  if (state.phase === 'completed' || state.phase === 'ended') return script;
  script.workspace.ensure();
  const payload = await unsealPayload(script, seal);
  const masker = maskerFor(payload);
  if (state.phase === 'waiting') script.hold(() => startLate(script, payload, state, 1));
  else if (state.phase === 'starting') await recoverStarting(script, payload, masker, state);
  else await recoverRunning(script, masker, state);
  return script;
}

/** The claim decides whether it started: whoever creates that file first. */
async function recoverStarting(
  script: Script,
  payload: ScriptPayload__Output | undefined,
  masker: Masker | undefined,
  state: StateIn<'starting'>,
): Promise<void> {
  const { attempt } = state;
  if (state.bootId !== bootId()) {
    // A power cut may have erased the claim, so its absence proves nothing.
    return script.endAfterwards(masker, { kind: 'interrupted', detail: REBOOTED }, 0);
  }
  if (script.workspace.isClaimed(attempt)) return recoverStarted(script, masker, state);
  script.hold(async () => {
    const neverStarted = await retryShortage(() => script.workspace.takeClaim(attempt));
    if (neverStarted) await startLate(script, payload, state, attempt + 1);
    // The launcher of the earlier agent has outlived it and started the script meanwhile.
    else await recoverStarted(script, masker, state);
  });
}

/** The launcher has the claim. */
async function recoverStarted(
  script: Script,
  masker: Masker | undefined,
  { attempt, spec }: StateIn<'starting'>,
): Promise<void> {
  const started = await findStarted(script.workspace, attempt);
  if (started === 'never') {
    return script.endAfterwards(masker, { kind: 'rejected', code: 'SPAWN_FAILED', detail: NEVER_STARTED }, 0);
  }
  if (started === 'unknown') return script.endAfterwards(masker, { kind: 'interrupted', detail: VANISHED }, Date.now());
  const childProcess = { ...started, bootId: bootId() };
  const running = { phase: 'running', spec, attempt, childProcess, startedAtMs: startedAtMs(childProcess) } as const;
  await recoverRunning(script, masker, running);
}

async function recoverRunning(
  script: Script,
  masker: Masker | undefined,
  state: StateIn<'running' | 'killing'>,
): Promise<void> {
  const { childProcess } = state;
  const sameBoot = childProcess.bootId === bootId();
  if (isAlive(childProcess)) return script.adopt(masker, state);
  // Checked before the exit file is read, since it may be written in between.
  const written = !exitIsBeingWritten(script.workspace);
  const exit = await retryShortage(() => script.workspace.exitOfScript());
  if (exit !== undefined && state.phase === 'running') {
    return script.endAfterwards(masker, { kind: 'exited', exit }, state.startedAtMs);
  }
  // The leader is gone without an exit code; others of its group may live, and are waited for or killed.
  if (!written || ledGroupIsAlive(childProcess)) return script.adopt(masker, state);
  const end: ScriptEnd =
    state.phase === 'killing'
      ? { kind: state.reason, exit }
      : { kind: 'interrupted', detail: sameBoot ? VANISHED : REBOOTED };
  script.endAfterwards(masker, end, state.startedAtMs);
}

/**
 * Starts a script that certainly never started, unless its envelope has expired: the server may have given up on it.
 */
async function startLate(
  script: Script,
  payload: ScriptPayload__Output | undefined,
  { spec }: StateIn<'waiting' | 'starting'>,
  attempt: number,
): Promise<void> {
  if (payload === undefined) {
    const detail = 'its sealed payload cannot be read';
    return script.endAfterwards(undefined, { kind: 'rejected', code: 'MASK_UNREADABLE', detail }, 0);
  }
  if (Date.now() > spec.expiresAtMs + SKEW_MS) {
    const detail = 'the tentacle stopped before it could start the script, and the envelope has expired since';
    return script.endAfterwards(maskerFor(payload), { kind: 'rejected', code: 'ENVELOPE_EXPIRED', detail }, 0);
  }
  await script.begin(payload, spec, attempt).catch(() => undefined);
}

async function unsealPayload(script: Script, seal: WorkspaceSeal): Promise<ScriptPayload__Output | undefined> {
  const sealed = await retryShortage(() => readFile(script.workspace.sealed, 'utf8')).catch(() => undefined);
  const content = sealed === undefined ? undefined : seal.unseal(script.ticket, sealed);
  try {
    return content && decodePayload(content);
  } catch {
    return undefined;
  }
}

/** Undefined when the payload cannot be read: no line of the log may then leave the machine. */
function maskerFor(payload: ScriptPayload__Output | undefined): Masker | undefined {
  try {
    return payload && createMasker(payload.sensitiveValues);
  } catch {
    return undefined;
  }
}
