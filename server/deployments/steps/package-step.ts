// The step kind that installs a package: acquire, stage, activate, with optional scripts before and after activation.
import { Type, type Static } from 'typebox';
import { IsthmusError } from '../../../contract/errors.ts';
import { packageIdKey } from '../../../lib/package-versions.ts';
import type { PackagePayload } from '../../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { applicationName, scriptEnv, STEP_FIELDS } from '../../projects/index.ts';
import type { PinnedPackage } from '../../store/projects/process.ts';
import { runPackageTicket, type PackageAction } from '../../tasks/execution/package-ticket.ts';
import { machinesOf, type ActionContext, type StepHandler, type TicketRunner } from './handler.ts';
import { factsOf, scriptRunner, StepScript, type ScriptFolder } from './step-script.ts';

const LONGEST_PATTERN_BYTES = 300;

const PackageStep = Type.Object(
  {
    ...STEP_FIELDS,
    kind: Type.Literal('package'),
    package: Type.Object(
      {
        id: Type.Refine(
          Type.String(),
          isPackageId,
          () => 'must have letters, digits, `.`, `_` and `-`, at most 100: a package id',
        ),
      },
      { additionalProperties: false },
    ),
    preDeploy: Type.Optional(StepScript),
    postDeploy: Type.Optional(StepScript),
    substituteIn: Type.Optional(
      Type.Array(
        Type.Refine(
          Type.String(),
          isPattern,
          () =>
            `must name files below the package root, with / between folders, in 1 to ${LONGEST_PATTERN_BYTES} bytes`,
        ),
        { maxItems: 100 },
      ),
    ),
  },
  { additionalProperties: false },
);
type PackageStep = Static<typeof PackageStep>;

export const packageStep: StepHandler<PackageStep> = {
  kind: 'package',
  schema: PackageStep,
  packageId: (step) => step.package.id,
  plan(step, context) {
    const pre = step.preDeploy === undefined ? [] : ['pre'];
    const post = step.postDeploy === undefined ? [] : ['post'];
    return { actions: ['acquire', 'stage', ...pre, 'activate', ...post], machines: machinesOf(step, context) };
  },
  actions: {
    acquire: (step, context) => packageRunner('acquire', step, context),
    stage: (step, context) => packageRunner('stage', step, context),
    pre: (step, context) => deployScript(step, step.preDeploy, context, 'staged'),
    activate: (step, context) => packageRunner('activate', step, context),
    post: (step, context) => deployScript(step, step.postDeploy, context, 'current'),
  },
};

function deployScript(
  step: PackageStep,
  script: StepScript | undefined,
  context: ActionContext,
  applicationStage: ScriptFolder['applicationStage'],
): TicketRunner {
  if (script === undefined) throw new IsthmusError('INTERNAL', `step ${step.name} has no such script`);
  const application = applicationName(context.project, step.name);
  return scriptRunner(step, script, context, { application, applicationStage });
}

function packageRunner(action: PackageAction, step: PackageStep, context: ActionContext): TicketRunner {
  const { project, target: machine, variables, findSources } = context;
  const { id, version, sha256, sizeBytes, format } = pinnedFor(step, context);
  const application = applicationName(project, step.name);
  const payload: PackagePayload = { package: { id, version, sha256, sizeBytes, format }, application };
  if (action === 'stage' && step.substituteIn !== undefined && step.substituteIn.length > 0) {
    payload.substituteIn = [...step.substituteIn];
    payload.variables = { ...variables.values, ...scriptEnv({}, factsOf(step, context)) };
    payload.sensitiveNames = [...variables.sensitiveNames];
  }
  return (run, ticket) =>
    runPackageTicket(run, ticket, {
      action,
      payload,
      findSources,
      onActivated: (tx) => tx.installed.activated({ machine, application, version, sha256, at: Date.now() }),
    });
}

function pinnedFor(step: PackageStep, { release }: ActionContext): PinnedPackage {
  const pinned = release.packages.find((entry) => entry.step === step.name);
  if (pinned === undefined) throw new IsthmusError('INTERNAL', `the release pins no package for ${step.name}`);
  return pinned;
}

function isPackageId(id: string): boolean {
  try {
    packageIdKey(id);
    return true;
  } catch {
    return false;
  }
}

function isPattern(pattern: string): boolean {
  if (pattern === '' || Buffer.byteLength(pattern) > LONGEST_PATTERN_BYTES) return false;
  return !pattern.startsWith('/') && !pattern.split('/').includes('..') && !/[\0\\]/.test(pattern);
}
