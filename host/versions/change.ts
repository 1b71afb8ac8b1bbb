// The change of a host's version, step by step. Each step is written down before it is done and can be done again, so
// that a crash at any moment leaves the old version or the new one current, and the next run brings it to its end.
import { existsSync } from 'node:fs';
import { IsthmusError } from '../../contract/errors.ts';
import { NODE_ROLES } from '../../contract/nodes.ts';
import type { HostLayout } from '../layout.ts';
import { readConfirmation, readOrders, removeOrder, type UpgradeOrder } from '../orders.ts';
import { isMigrated, putBackDatabase, type DatabaseCopies } from '../disk/database.ts';
import { hasEnded, readJournal, writeJournal, type Change, type ChangeIn, type ServiceBefore } from './journal.ts';
import { linkCommand, setLink } from '../disk/links.ts';
import { freeReserve } from '../disk/reserve.ts';
import type { HostServices } from './services.ts';
import { removeIncomplete, softwareOf, versionFolder } from '../disk/staging.ts';
import { removeUnused } from '../disk/unused.ts';
import { watch, type Failure, type WatchTimes } from './watch.ts';

export interface Host {
  readonly layout: HostLayout;
  readonly services: HostServices;
  readonly times: WatchTimes;
  /** Ends the wait for a version that is not confirmed yet. */
  readonly signal: AbortSignal;
  /** What that means: the old version, or the change goes on with the next run. */
  readonly whenStopped: 'go-back' | 'leave';
  /** Told of what is wrong, and stops nothing. */
  readonly onProblem: (error: IsthmusError) => void;
  /** Told of each step. */
  readonly onProgress: (progress: Progress) => void;
}

/** The step that begins now, or what is still wrong with the services while it waits for them. */
export type Progress = Change | Failure;

/** How a change has ended. */
export type Ended = ChangeIn<'confirmed' | 'went-back' | 'failed'>;

/** After so many crashes of the machine or the upgrader, the new version is not tried again. */
const MOST_RESUMED = 2;
/** For the old version to be as before; the host has gone back by then, whatever comes of it. */
const BACK_WITHIN_MS = 60_000;

/**
 * Brings a change that a crash has cut off to its end. Undefined where there was none; the links are whole then.
 * UPGRADE_JOURNAL_UNREADABLE when nobody knows whether there was one.
 */
export async function resume(host: Host): Promise<Ended | undefined> {
  await removeIncomplete(host.layout);
  const change = readJournal(host.layout);
  if (change === undefined) {
    freeReserve(host.layout);
    return undefined;
  }
  const orders = readOrders(host.layout).flatMap((found) => ('order' in found ? [found.order] : []));
  const itsOrders = orders.filter(({ id }) => id === change.id);
  // Cut off before anything had changed, it is carried out anew.
  if (change.phase === 'unpacking' && itsOrders.length > 0) {
    freeReserve(host.layout);
    return undefined;
  }
  const ended = await finish(host, change);
  for (const order of itsOrders) dropOrder(host, order);
  return ended;
}

/** Takes an order away that has been carried out. Where a node has put something else in its place, the host goes on. */
export function dropOrder({ layout, onProblem }: Host, order: UpgradeOrder): void {
  try {
    removeOrder(layout, order);
  } catch (thrown) {
    onProblem(IsthmusError.from(thrown, 'FILE_UNUSABLE'));
  }
}

async function finish(host: Host, change: Change): Promise<Ended | undefined> {
  switch (change.phase) {
    case 'confirmed':
      await settle(host, change);
      return undefined;
    case 'went-back':
    case 'failed':
      freeReserve(host.layout);
      return undefined;
    case 'unpacking':
      return fail(host, change, { code: 'CANCELLED', message: 'it was cut off before anything had changed' });
    case 'going-back':
      return run(host, change);
    case 'switching':
    case 'restarting':
    case 'awaiting-confirmation': {
      const resumed = { ...change, resumed: change.resumed + 1 };
      if (resumed.resumed <= MOST_RESUMED) return run(host, record(host, resumed));
      const message = `${change.to} was not confirmed, and the host or its upgrader crashed ${resumed.resumed} times`;
      return run(host, goingBack(host, change, { code: 'UPGRADE_NOT_CONFIRMED', message }));
    }
  }
}

/** Takes a change from its present phase to its end. */
export async function run(host: Host, begun: Change): Promise<Ended> {
  let change = begun;
  for (;;) {
    switch (change.phase) {
      case 'switching':
        change = await switchTo(host, change);
        break;
      case 'restarting':
        change = await restart(host, change);
        break;
      case 'awaiting-confirmation':
        change = await confirm(host, change);
        break;
      case 'going-back':
        change = await goBack(host, change);
        break;
      case 'confirmed':
        await settle(host, change);
        return change;
      case 'went-back':
        await removeUnused(host.layout);
        return change;
      case 'unpacking':
      case 'failed':
        throw new IsthmusError('INTERNAL', `a change that is ${change.phase} cannot be run`);
    }
  }
}

/** Ends a change before anything has changed. */
export function fail(host: Host, change: ChangeIn<'unpacking'>, { code, message }: Failure): ChangeIn<'failed'> {
  return record(host, { ...change, phase: 'failed', code, message });
}

/** Writes the phase that begins now. */
export function record<Phase extends Change>({ layout, onProgress }: Host, change: Phase): Phase {
  const written = writeJournal(layout, { ...change, at: Date.now() });
  onProgress(written);
  if (hasEnded(change)) freeReserve(layout);
  return written;
}

async function switchTo(host: Host, change: ChangeIn<'switching'>): Promise<Change> {
  await setLink(host.layout.current, change.to);
  return record(host, { ...change, phase: 'restarting' });
}

async function restart(host: Host, change: ChangeIn<'restarting'>): Promise<Change> {
  const [failure] = await restartAll(host, change.services);
  if (failure !== undefined) return goingBack(host, change, failure);
  return record(host, { ...change, phase: 'awaiting-confirmation' });
}

async function confirm(host: Host, change: ChangeIn<'awaiting-confirmation'>): Promise<Change> {
  const failure = await watch(host.services, {
    services: change.services,
    version: change.to,
    withinMs: change.confirmWithinS * 1000,
    times: host.times,
    isConfirmed: () => isConfirmed(host.layout, change),
    onComplaint: host.onProgress,
    signal: host.signal,
  });
  if (failure?.code === 'CANCELLED' && host.whenStopped === 'leave')
    throw new IsthmusError(failure.code, failure.message);
  if (failure !== undefined) return goingBack(host, change, failure);
  const { services: _before, copies: _copies, resumed: _times, ...subject } = change;
  return record(host, { ...subject, phase: 'confirmed' });
}

/** A change by hand needs no word but that of its services; one through the mesh is confirmed by its node. */
function isConfirmed(layout: HostLayout, { why, role, id, to }: Change): boolean {
  if (why !== 'upgrade' || role === undefined) return true;
  const confirmation = readConfirmation(layout, role);
  return confirmation?.id === id && confirmation.version === to;
}

/** Written down before it is done: from here on nothing tries the new version again. */
function goingBack(
  host: Host,
  change: ChangeIn<'switching' | 'restarting' | 'awaiting-confirmation'>,
  { code, message }: Failure,
): Change {
  return record(host, { ...change, phase: 'going-back', code, message });
}

async function goBack(host: Host, change: ChangeIn<'going-back'>): Promise<Change> {
  const { services: before, copies, resumed: _times, ...subject } = change;
  if (subject.from === null) return record(host, { ...subject, phase: 'failed' });
  await setLink(host.layout.current, subject.from);
  const services = await withNewOnes(host, before);
  const database = await goBackToDatabase(host, subject.from, copies);
  // Each of them, whatever becomes of the others: none may stay on the version that does not work.
  const [notRestarted] = await restartAll(host, services);
  const failure =
    notRestarted ??
    (await watch(host.services, {
      services,
      version: subject.from,
      withinMs: BACK_WITHIN_MS,
      times: host.times,
      isConfirmed: () => true,
      onComplaint: host.onProgress,
      signal: new AbortController().signal,
    }));
  const now = failure === undefined ? `${subject.from} runs again` : `back at ${subject.from}, ${failure.message}`;
  return record(host, { ...subject, phase: 'went-back', message: `${subject.message}; ${now}${database}` });
}

/** What was made a service meanwhile runs from the version that does not work, too. */
async function withNewOnes(host: Host, services: readonly ServiceBefore[]): Promise<readonly ServiceBefore[]> {
  const roles = await host.services.active();
  const added = roles.filter((role) => services.every((service) => service.role !== role));
  return [...services, ...added.map((role) => ({ role, connected: false }))];
}

/** A server cannot open a database that the newer version has migrated; answers what there is to tell of it. */
async function goBackToDatabase({ layout, services }: Host, version: string, before: DatabaseCopies): Promise<string> {
  try {
    const software = await softwareOf(layout, version);
    if (!isMigrated(layout, software, before)) return '';
    await services.stop('server');
    putBackDatabase(layout, software, before);
    return ', with the database as it was before the migration: what was written since is in isthmus.db.migrated';
  } catch (thrown) {
    const { message, code } = IsthmusError.from(thrown);
    return `, and the database could not be put back: ${message} (${code})`;
  }
}

/** Restarts the services, servers first: a node may not be newer than its server. Answers what did not start. */
async function restartAll(host: Host, services: readonly ServiceBefore[]): Promise<readonly Failure[]> {
  const roles = NODE_ROLES.filter((role) => services.some((service) => service.role === role));
  // Also for services that are stopped: whoever starts them gets the units of the version that is current.
  await host.services.reload();
  const failures: Failure[] = [];
  for (const role of roles) {
    await host.services.restart(role).catch((thrown: unknown) => {
      const { message } = IsthmusError.from(thrown);
      const what = `the service of the ${role} cannot be started: ${message}`;
      failures.push({ code: 'UPGRADE_START_FAILED', message: what });
    });
  }
  return failures;
}

/** After a confirmation: the links that only a version that works may have. Repeated by every later run. */
async function settle({ layout, services }: Host, { from, to }: ChangeIn<'confirmed'>): Promise<void> {
  freeReserve(layout);
  if (from !== null && existsSync(versionFolder(layout, from))) await setLink(layout.previous, from);
  await setLink(layout.knownGood, to);
  // The units of the upgrader are this version's now. A run that was cut off here has not had them read.
  await services.reload();
  // Who installs has checked the name; one that something else has taken since stands in the way of no later change.
  await linkCommand(layout).catch(() => undefined);
  await removeUnused(layout);
}
