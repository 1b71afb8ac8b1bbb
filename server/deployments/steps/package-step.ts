// The step kind that installs a package: acquire, stage, activate, with optional scripts before and after activation, and
// settle, which keeps the release once all of it has succeeded, or puts the one before back where it is installed.
import { Type } from 'typebox';
import { IsthmusError } from '../../../contract/errors.ts';
import { isArchive } from '../../../contract/packages.ts';
import {
  FilePattern,
  LONGEST_FILE_PATTERN,
  NewPackageStep,
  substitutionRules,
  type PackageStep,
  type StepScript,
} from '../../../contract/projects.ts';
import { Closed } from '../../../contract/schema.ts';
import type { PackagePayload } from '../../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { feedOf, scriptEnv } from '../../projects/index.ts';
import { checkTakesPushed } from '../../packages/index.ts';
import type { PinnedPackage } from '../../store/projects/process.ts';
import { runPackageTicket, type PackageAction, type PackageWork } from '../../tasks/execution/package-ticket.ts';
import { isAtLeast } from '../../topology/software.ts';
import { machinesOf, type ActionContext, type StepHandler, type TicketRunner } from './handler.ts';
import { CheckedStepScript, factsOf, scriptRunner } from './step-script.ts';

/** Before it, `stage` drops all but a few of the packages that other steps have yet to stage. */
const KEEPS_ACQUIRED_SINCE = '0.2.0';

/** A package step as it is sent, with what a schema cannot say. */
const CheckedPackageStep = Closed({
  ...NewPackageStep.properties,
  preDeploy: Type.Optional(CheckedStepScript),
  postDeploy: Type.Optional(CheckedStepScript),
  substituteIn: Type.Optional(
    substitutionRules(
      Type.Refine(
        FilePattern,
        isPattern,
        () => `must name files below the package root, with / between folders, in 1 to ${LONGEST_FILE_PATTERN} bytes`,
      ),
    ),
  ),
});

export const packageStep: StepHandler<PackageStep> = {
  kind: 'package',
  schema: CheckedPackageStep,
  packageId: (step) => step.package.id,
  checkPackage: ({ name, unpack }, { id, version, format, entries }) => {
    if (unpack !== true || entries !== undefined || isArchive(format)) return;
    const what = format === 'file' ? 'is no archive' : 'is not a zip that can be unpacked';
    throw new IsthmusError('INVALID_FIELD', `${id} ${version} ${what}, and step ${name} has \`unpack: true\``, {
      field: `packages.${name}`,
    });
  },
  plan(step, context) {
    const pre = step.preDeploy === undefined ? [] : ['pre'];
    const post = step.postDeploy === undefined ? [] : ['post'];
    const machines = machinesOf(step, context);
    const early = context.machines.filter((machine) => isAtLeast(machine, KEEPS_ACQUIRED_SINCE)).map(({ id }) => id);
    const acquiringInStep = machines.filter((id) => !early.includes(id));
    return {
      actions: ['acquire', 'stage', ...pre, 'activate', ...post, 'settle'],
      acquisition: 'acquire',
      machines,
      ...(acquiringInStep.length > 0 ? { acquiringInStep } : {}),
    };
  },
  check(step, { machine, variables, checkFeed }) {
    if (step.push === true) return checkTakesPushed(machine);
    const feed = feedOf(step, variables.values);
    if (feed !== undefined) checkFeed(feed);
  },
  interpreters: ({ preDeploy, postDeploy }) => [preDeploy, postDeploy].flatMap((script) => script?.interpreter ?? []),
  actions: {
    acquire: (step, context) => packageRunner('acquire', step, context),
    stage: (step, context) => packageRunner('stage', step, context),
    pre: (step, context) => deployScript(step, step.preDeploy, context),
    activate: (step, context) => packageRunner('activate', step, context),
    post: (step, context) => deployScript(step, step.postDeploy, context),
    settle: (step, context) => packageRunner('settle', step, context),
  },
  settling: {
    action: 'settle',
    afterFailure: ({ installTo }, before) =>
      installTo !== undefined && before.some(({ action, startedAt }) => action === 'activate' && startedAt !== null),
  },
};

function deployScript(step: PackageStep, script: StepScript | undefined, context: ActionContext): TicketRunner {
  if (script === undefined) throw new IsthmusError('INTERNAL', `step ${step.name} has no such script`);
  return scriptRunner(step, script, context, installationOf(step, context));
}

function packageRunner(action: PackageAction, step: PackageStep, context: ActionContext): TicketRunner {
  const { target: machine, hasFailed, findSources, release } = context;
  const pinned = pinnedFor(step, context);
  const { id, version, sha256, sizeBytes } = pinned;
  const { format, ...made } = madeOf(step, pinned);
  const installation = installationOf(step, context);
  const payload: PackagePayload = {
    package: { id, version, sha256, sizeBytes, format },
    installation,
    ...made,
    ...(action === 'stage' ? stagingOf(step, context) : {}),
    ...(action === 'activate' && step.installTo !== undefined ? { installTo: step.installTo } : {}),
    ...(action === 'settle' ? { revert: hasFailed } : {}),
  };
  const at = { machine, ...installation };
  const onSucceeded: Partial<Record<PackageAction, PackageWork['onSucceeded']>> = {
    activate: (tx) => tx.installed.activated({ ...at, release: release.id, version, sha256, activatedAt: Date.now() }),
    settle: async (tx) => {
      if (!hasFailed) await tx.installed.succeeded(at, Date.now());
    },
  };
  const { push } = step;
  const from =
    action === 'acquire'
      ? { feed: feedOf(step, context.variables.values), push, placed: format === 'file' }
      : undefined;
  return (run, ticket) =>
    runPackageTicket(run, ticket, { action, payload, findSources, from, onSucceeded: onSucceeded[action] });
}

/** What the machine makes of the bytes: it unpacks them, within what the release pins, or gives them a name. */
function madeOf({ unpack }: PackageStep, { format, sizeBytes, fileName, ...pinned }: PinnedPackage) {
  if (!isArchive(format) && unpack !== true) {
    return { format: 'file', fileName: fileName ?? '', unpackedBytes: sizeBytes, entries: 1 };
  }
  const { unpackedBytes = 0, entries = 0 } = pinned;
  return { format: isArchive(format) ? format : 'zip', unpackedBytes, entries };
}

/** What only staging needs: accounts and permissions of the files, and the variables to substitute. */
function stagingOf(step: PackageStep, context: ActionContext): PackagePayload {
  const { owner, group, fileMode, folderMode, substituteIn = [] } = step;
  const files: PackagePayload = {
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
    ...(fileMode === undefined ? {} : { fileMode: Number.parseInt(fileMode, 8) }),
    ...(folderMode === undefined ? {} : { folderMode: Number.parseInt(folderMode, 8) }),
  };
  if (substituteIn.length === 0) return files;
  const { values, sensitiveNames } = context.variables;
  return {
    ...files,
    substitute: substituteIn.map((rule) =>
      typeof rule === 'string'
        ? { pattern: rule, encoding: 'utf-8' }
        : { pattern: rule.files, encoding: rule.encoding },
    ),
    variables: { ...values, ...scriptEnv({}, factsOf(step, context)) },
    sensitiveNames: [...sensitiveNames],
  };
}

/** Each environment of a project has its own. */
function installationOf({ name: step }: PackageStep, { project, environment }: ActionContext) {
  return { project, environment, step };
}

function pinnedFor(step: PackageStep, { release }: ActionContext): PinnedPackage {
  const pinned = release.packages.find((entry) => entry.step === step.name);
  if (pinned === undefined) throw new IsthmusError('INTERNAL', `the release pins no package for ${step.name}`);
  return pinned;
}

function isPattern(pattern: string): boolean {
  if (pattern === '' || Buffer.byteLength(pattern) > LONGEST_FILE_PATTERN) return false;
  return !pattern.startsWith('/') && !pattern.split('/').includes('..') && !/[\0\\]/.test(pattern);
}
