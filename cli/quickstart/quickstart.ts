// Runs the quickstart: a whole mesh on this machine, with a deployment to it. Every component is a process on loopback.
//   topology.ts         nodes and sites          mesh.ts         server, joins, nodes
//   state.ts            state between starts     product.ts      package, project, release, deployment
//   child-processes.ts  starts and stops them    report.ts       the tables at the end
//   lifeline.ts         stops the applications   web-package.ts  packs the example
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { TaskSummary } from '../../contract/tasks.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { EXECUTABLE, programPath } from '../../lib/software.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { ApiClient } from '../client/client.ts';
import { connectionIn } from '../client/context.ts';
import { escapeText } from '../render/escape.ts';
import { shellWord } from '../render/shell.ts';
import { say, type Terminal } from '../terminal.ts';
import { requireSuccess, watchTask } from '../watch-task.ts';
import { holdLifeline, type Lifeline } from './lifeline.ts';
import { listeners, createSitesAndEnvironments, startNodes, startServer } from './mesh.ts';
import { ProcessGroup } from './child-processes.ts';
import { deploy, ensurePackage, ensureProject, createRelease } from './product.ts';
import { carriedSince, linkTable, machineTable, readCounters, requireOnce } from './report.ts';
import { StateFolder, type DemoState } from './state.ts';
import { DEMO_MACHINES } from './topology.ts';
import { webPackage, type BuiltPackage } from './web-package.ts';

export interface QuickstartOptions {
  readonly data: string;
  readonly once: boolean;
  readonly clean: boolean;
}

/** What one run shares. */
interface Demo {
  readonly terminal: Terminal;
  readonly folder: StateFolder;
  readonly state: DemoState;
  readonly group: ProcessGroup;
  /** Writes a line that begins with the time since the start. */
  readonly step: (text: string) => void;
}

const APPLICATION_STOP_LIMIT_MS = 10_000;

function stopwatch(terminal: Terminal): (text: string) => void {
  const startedAt = performance.now();
  return (text) => say(terminal, `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

/** Deploys to every machine, shown live, checks their health, and shows the tables. */
async function runDeployment(demo: Demo, client: ApiClient, built: BuiltPackage): Promise<void> {
  const { step, terminal, folder, state } = demo;
  const { version, pushed } = await ensurePackage(client, built);
  const size = `${bytes(built.sizeBytes)}, ${built.files} files`;
  step(
    pushed
      ? `package isthmus-example-web ${version} pushed (${size})`
      : `package ${version} was in the feed already (${size})`,
  );
  await ensureProject(client, state, folder);
  const release = await createRelease(client, version);
  step(`release ${release.version} of project web: deploying to ${DEMO_MACHINES.length} machines`);
  const before = await readCounters(client);
  const deployment = await watchTask(client, await deploy(client, release.version), terminal);
  requireSuccess(deployment);
  step('deployed, started, and checked over HTTP from each machine');
  const { body: health } = await client.post<TaskSummary>('health-checks', {});
  requireSuccess(await watchTask(client, health.id, terminal));
  const fetched = (deployment.machines ?? []).some(({ steps }) =>
    steps.some(({ action, detail }) => action === 'acquire' && detail?.['cached'] !== true),
  );
  const carried = await carriedSince(client, before, fetched ? built.sizeBytes : 0);
  say(terminal, `\n${await machineTable(client, deployment)}\n`);
  say(terminal, `${linkTable(carried, built.sizeBytes)}\n`);
  if (fetched) {
    requireOnce(carried, built.sizeBytes);
    step(`the package (${bytes(built.sizeBytes)}) crossed each link between sites once`);
  } else {
    step('every machine had the package already: nothing was fetched');
  }
}

/** Shows how to use the running mesh. */
function showUse({ terminal, folder, state }: Demo, client: ApiClient): void {
  const near = (path: string): string => shellWord(relative('.', path).startsWith('..') ? path : relative('.', path));
  const isthmus = `${near(EXECUTABLE)} --context ${near(folder.contextFile)}`;
  const first = DEMO_MACHINES[0]!;
  say(
    terminal,
    `\nThe API is at ${client.server.origin}; the application on ${first.id} at http://127.0.0.1:${state.ports[`web ${first.id}`]}/`,
  );
  say(terminal, `\n  ${isthmus} mesh status`);
  say(terminal, `  ${isthmus} mesh trace eu-pci-1`);
  say(terminal, `  echo 'uname -a; uptime' | ${isthmus} script run --file - --target-role web`);
  say(terminal, `\nCtrl-C stops everything. What each component logs is in ${near(join(folder.path, 'logs'))}.`);
}

/** Waits until every application of this state folder has stopped. */
async function applicationsGone(folder: StateFolder): Promise<void> {
  const untilMs = performance.now() + APPLICATION_STOP_LIMIT_MS;
  for (const { id } of DEMO_MACHINES) {
    const pidFile = join(folder.runDir(id), 'web.pid');
    for (;;) {
      const pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
      const commandLine = pid > 0 ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
      if (!commandLine.includes('server.js')) break;
      if (performance.now() > untilMs)
        throw new IsthmusError('COMPONENT_FAILED', `the application on ${id} (process ${pid}) does not stop`);
      await new Promise((tick) => setTimeout(tick, 50));
    }
  }
}

async function interrupted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(new IsthmusError('CANCELLED', 'stopped'));
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return promise;
}

async function work(demo: Demo, once: boolean): Promise<void> {
  const { step, terminal, folder } = demo;
  // Starting the server is mostly waiting, so the package is built meanwhile.
  const [{ firstTime }, built] = await Promise.all([startServer(demo), webPackage(folder.path)]);
  const client = new ApiClient(await connectionIn(folder.contextFile));
  try {
    step(`server at ${client.server.origin}${firstTime ? ' (a new mesh)' : ''}`);
    await createSitesAndEnvironments(client);
    await startNodes(client, demo, (node, joined) => {
      const how = node.dialled ? `dialled by ${node.parent}` : `dials ${node.parent}`;
      step(`${node.role} ${node.id} ${joined ? 'joined and ' : ''}started (site ${node.site}, ${how})`);
    });
    await runDeployment(demo, client, built);
    if (once) return;
    showUse(demo, client);
    await interrupted(terminal.signal);
  } finally {
    client.close();
  }
}

/** Stops the applications and every process. */
async function stopAll(demo: Demo, lifeline: Lifeline): Promise<void> {
  await lifeline.close();
  await Promise.all([demo.group.stop(), applicationsGone(demo.folder)]);
}

/** Runs the quickstart; resolves when everything has stopped. */
export async function quickstart(options: QuickstartOptions, terminal: Terminal): Promise<void> {
  const folder = new StateFolder(resolve(options.data));
  const lifeline = await holdLifelineIn(folder, options.clean);
  // After a failure, the task that is followed must not report that the server does not answer.
  const ending = new AbortController();
  const signal = AbortSignal.any([terminal.signal, ending.signal]);
  const demo: Demo = {
    terminal: { ...terminal, signal },
    folder,
    state: await folder.load(listeners()),
    group: new ProcessGroup(programPath('cli/main')),
    step: stopwatch(terminal),
  };
  const stop = (): Promise<void> => stopAll(demo, lifeline);
  try {
    await Promise.race([work(demo, options.once), demo.group.failed, interrupted(terminal.signal)]);
  } catch (thrown) {
    const error = IsthmusError.from(thrown);
    const requested = error.code === 'CANCELLED' && terminal.signal.aborted;
    if (requested) say(terminal, '\nstopping');
    else say(terminal, `\nfailed: ${escapeText(error.message.split('\n')[0] ?? '')}; stopping`);
    ending.abort();
    await stop();
    demo.step('everything has stopped');
    if (requested && !options.once) return;
    throw error;
  }
  await stop();
  demo.step('everything has stopped');
}

async function holdLifelineIn(folder: StateFolder, clean: boolean): Promise<Lifeline> {
  await folder.prepare({ clean: false });
  const lifeline = await holdLifeline(folder.lifeline, folder.path);
  if (!clean) return lifeline;
  // The lifeline was free, so no other quickstart uses the folder.
  await lifeline.close();
  await folder.prepare({ clean: true });
  return holdLifeline(folder.lifeline, folder.path);
}
