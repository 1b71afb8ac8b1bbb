// One step of a deployment on one machine: its actions in order, each with its own ticket. The first that does not
// succeed ends the machine's part in the deployment.
import { IsthmusError } from '../../lib/errors.ts';
import type { PackagePayload } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { ScriptPayload } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { PinnedPackage, ProcessStep, StepScript } from '../store/process.ts';
import type { Machine } from '../store/repositories/machines.ts';
import type { Release } from '../store/repositories/releases.ts';
import type { Ticket, TicketState } from '../store/repositories/tickets.ts';
import type { Store } from '../store/store.ts';
import type { TaskContext } from '../tasks/context.ts';
import { endTicket, mayHaveRun, refusalEnd, type MachineRun, type TicketDeps } from '../tasks/execution/machine-run.ts';
import { hasEnded } from '../tasks/outcome.ts';
import { runPackageTicket, type FindPlaces, type PackageWork } from '../tasks/execution/package-ticket.ts';
import { runScriptTicket } from '../tasks/execution/script-ticket.ts';
import type { DeploymentAction, DeploymentPayload } from './plan.ts';
import { applicationName } from '../projects/projects.ts';
import { resolveAt, scriptEnvironment, type Opener, type ResolvedVariables } from '../projects/resolve.ts';

export interface DeploymentDeps extends TicketDeps {
  readonly store: Pick<Store, 'logLines' | 'machines' | 'tickets' | 'releases'>;
  readonly findPlaces: FindPlaces;
  readonly sealer: Opener;
}

export interface DeploymentFacts {
  readonly payload: DeploymentPayload;
  readonly release: Release;
  /** Ends the wait for unreachable machines, where they are skipped. */
  readonly patience: AbortSignal | undefined;
}

type PackageStep = Extract<ProcessStep, { kind: 'package' }>;

export class MachineSteps {
  readonly #deps: DeploymentDeps;
  readonly #context: TaskContext;
  readonly #facts: DeploymentFacts;

  constructor(deps: DeploymentDeps, context: TaskContext, facts: DeploymentFacts) {
    this.#deps = deps;
    this.#context = context;
    this.#facts = facts;
  }

  /** Runs the machine's tickets of a step; those after a failure are closed unsent. */
  async run(index: number, machine: string, tickets: readonly Ticket[]): Promise<void> {
    const step = this.#facts.release.process[index];
    if (step === undefined) throw new IsthmusError('INTERNAL', `the release has no step ${index}`);
    for (const [at, ticket] of tickets.entries()) {
      const ended = hasEnded(ticket) ? ticket : await this.#runTicket(step, machine, ticket);
      if (ended.state !== 'succeeded') {
        await this.#close(tickets.slice(at + 1), ended.state);
        return;
      }
    }
  }

  async #runTicket(step: ProcessStep, machine: string, ticket: Ticket): Promise<Ticket> {
    const { payload, patience } = this.#facts;
    const context = this.#context;
    const run: MachineRun = { context, deps: this.#deps, machine, onUnreachable: payload.unreachable, patience };
    let work: TicketWork;
    try {
      work = await this.#prepare(step, machine, ticket);
    } catch (thrown) {
      const ending = refusalEnd(context, thrown);
      return endTicket(context, ticket.id, mayHaveRun(ticket) ? { ...ending, state: 'interrupted' } : ending);
    }
    return work.kind === 'script'
      ? runScriptTicket(run, ticket, work.payload)
      : runPackageTicket(run, ticket, work.package);
  }

  async #prepare(step: ProcessStep, machine: string, ticket: Ticket): Promise<TicketWork> {
    const action = ticket.action as DeploymentAction;
    const target = await this.#target(ticket);
    const { environment } = this.#facts.payload;
    const place = { environment, machine, targetRoles: target.targetRoles };
    const resolved = resolveAt(this.#facts.release.variables, place, this.#deps.sealer);
    if (step.kind === 'script') return this.#script(step, machine, step.script, resolved);
    switch (action) {
      case 'pre':
        return this.#script(step, machine, step.preDeploy, resolved, 'staged');
      case 'post':
        return this.#script(step, machine, step.postDeploy, resolved, 'current');
      case 'acquire':
      case 'stage':
      case 'activate':
        return { kind: 'package', package: this.#package(step, machine, action, resolved) };
      default:
        throw new IsthmusError('INTERNAL', `a package step has no action ${action}`);
    }
  }

  /**
   * The machine as it is now: since the deployment was accepted it may have been moved, disabled or deleted. That keeps
   * work from being sent, but what was sent is on the machine, and its end is still to be heard.
   */
  async #target({ machine: id, state }: Ticket): Promise<Machine> {
    const { environment } = this.#facts.payload;
    const machine = await this.#deps.store.machines.get(id);
    if (state !== 'pending') return machine;
    if (machine.disabled) throw new IsthmusError('MACHINE_DISABLED', `machine ${id} has been disabled`);
    if (machine.environments.includes(environment)) return machine;
    throw new IsthmusError('SCOPE_MISMATCH', `machine ${id} is no longer in ${environment}`);
  }

  #script(
    step: ProcessStep,
    machine: string,
    script: StepScript | undefined,
    resolved: ResolvedVariables,
    stage?: 'staged' | 'current',
  ): TicketWork {
    if (script === undefined) throw new IsthmusError('INTERNAL', `step ${step.name} has no such script`);
    const payload: ScriptPayload = {
      interpreter: script.interpreter,
      body: script.body,
      environment: this.#environment(step, machine, resolved),
      sensitiveValues: [...resolved.sensitiveValues],
      timeLimitS: step.timeLimitS ?? 0,
      isolation: 'exclusive',
      application: stage === undefined ? '' : applicationName(this.#facts.payload.project, step.name),
      applicationStage: stage ?? '',
    };
    return { kind: 'script', payload };
  }

  #package(
    step: PackageStep,
    machine: string,
    action: PackageWork['action'],
    resolved: ResolvedVariables,
  ): PackageWork {
    const { project } = this.#facts.payload;
    const pinned = this.#pinned(step);
    const { id, version, sha256, sizeBytes, format } = pinned;
    const application = applicationName(project, step.name);
    const payload: PackagePayload = { package: { id, version, sha256, sizeBytes, format }, application };
    if (action === 'stage' && step.substituteIn !== undefined && step.substituteIn.length > 0) {
      payload.substituteIn = [...step.substituteIn];
      payload.variables = { ...resolved.values, ...this.#environmentFacts(step, machine) };
      payload.sensitiveNames = [...resolved.sensitiveNames];
    }
    return {
      action,
      payload,
      findPlaces: this.#deps.findPlaces,
      onActivated: (tx) => tx.installed.activated({ machine, application, version, sha256, at: Date.now() }),
    };
  }

  #pinned(step: PackageStep): PinnedPackage {
    const pinned = this.#facts.release.packages.find((entry) => entry.step === step.name);
    if (pinned === undefined) throw new IsthmusError('INTERNAL', `the release pins no package for ${step.name}`);
    return pinned;
  }

  #environment(step: ProcessStep, machine: string, { values }: ResolvedVariables): Record<string, string> {
    const { project, version, environment } = this.#facts.payload;
    const task = this.#context.task.id;
    return scriptEnvironment(values, { project, release: version, environment, machine, task, step: step.name });
  }

  #environmentFacts(step: ProcessStep, machine: string): Record<string, string> {
    return this.#environment(step, machine, { values: {}, sensitiveNames: [], sensitiveValues: [] });
  }

  async #close(rest: readonly Ticket[], cause: TicketState): Promise<void> {
    const open = rest.filter((ticket) => !hasEnded(ticket));
    if (open.length === 0) return;
    const now = Date.now();
    const state = cause === 'cancelled' ? 'cancelled' : 'skipped';
    const { fence } = this.#context;
    await this.#context.write(async (tx) => {
      for (const { id } of open) await tx.tickets.updateFenced(fence, id, { state, endedAt: now }, now);
    });
  }
}

type TicketWork =
  | { readonly kind: 'script'; readonly payload: ScriptPayload }
  | { readonly kind: 'package'; readonly package: PackageWork };
