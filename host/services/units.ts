// The units of this host: links to the files of the current version, so that another version brings its own.
import { lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { NODE_ROLES, type NodeRole } from '../../contract/nodes.ts';
import { syncFolder } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';

/** Changes the version of this host as its nodes order it. */
export const UPGRADER_PATH = 'isthmus-upgrade.path';
export const UPGRADER_UNITS: readonly string[] = [UPGRADER_PATH, 'isthmus-upgrade.service'];
/** Where systemd looks for what starts at boot. */
const AT_BOOT = 'multi-user.target.wants';
/** Lifts the limits that a tentacle's scripts inherit. */
const UNLIMITED_SCRIPTS = 'isthmus-tentacle.service.d/scripts-may-change-system.conf';

/** The unit of a component, as systemd calls it. */
export function unitOf(role: NodeRole): string {
  return `isthmus-${role}.service`;
}

/** The roles whose services are installed. */
export function installedRoles(layout: HostLayout): NodeRole[] {
  return NODE_ROLES.filter((role) => isLinkTo(join(layout.units, unitOf(role)), fileOf(layout, unitOf(role))));
}

/**
 * Makes a unit known, to be started at boot; answers whether that changed anything. FILE_UNUSABLE when another unit of
 * that name is there.
 */
export function linkUnit(layout: HostLayout, unit: string): boolean {
  const changed = namesOf(unit).map((name) => linkTo(join(layout.units, name), fileOf(layout, unit)));
  return changed.includes(true);
}

/** FILE_UNUSABLE when another unit of that name is there. */
export function requireUnitFree(layout: HostLayout, unit: string): void {
  for (const name of namesOf(unit)) requireOurs(join(layout.units, name), fileOf(layout, unit));
}

/** Takes a unit away again; answers whether it was there. */
export function unlinkUnit(layout: HostLayout, unit: string): boolean {
  const removed = namesOf(unit).map((name) => unlink(join(layout.units, name), fileOf(layout, unit)));
  return removed.includes(true);
}

/** Lifts the limits of a tentacle's scripts, or sets them again; answers whether that changed anything. */
export function limitScripts(layout: HostLayout, isLimited: boolean): boolean {
  const link = join(layout.units, UNLIMITED_SCRIPTS);
  const file = fileOf(layout, 'scripts-may-change-system.conf');
  return isLimited ? unlink(link, file) : linkTo(link, file);
}

function namesOf(unit: string): string[] {
  return [unit, join(AT_BOOT, unit)];
}

/**
 * As the links of a host say it, whose root may be a folder of this one. The upgrader is the last version's that was
 * found working: a version that does not work cannot keep the host from going back.
 */
function fileOf({ root, current, knownGood }: HostLayout, name: string): string {
  const version = UPGRADER_UNITS.includes(name) ? knownGood : current;
  return join('/', relative(root, version), 'systemd', name);
}

function linkTo(link: string, file: string): boolean {
  if (targetOf(link) === file) return false;
  requireOurs(link, file);
  const folder = dirname(link);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const temporary = `${link}.new`;
  rmSync(temporary, { force: true });
  symlinkSync(file, temporary);
  renameSync(temporary, link);
  syncFolder(folder);
  return true;
}

function requireOurs(link: string, file: string): void {
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined || isLinkTo(link, file)) return;
  throw new IsthmusError('FILE_UNUSABLE', `${link} is there already, and is no unit that this command has made`, {
    remedy: 'Move it away, if the service that it describes is to be replaced.',
  });
}

function unlink(link: string, file: string): boolean {
  if (!isLinkTo(link, file)) return false;
  rmSync(link);
  syncFolder(dirname(link));
  return true;
}

/** Also by the way of a version's own folder, as `systemctl enable` makes it. */
function isLinkTo(link: string, file: string): boolean {
  const target = targetOf(link);
  return target !== undefined && basename(target) === basename(file);
}

/** Where a link leads; undefined for anything else. */
function targetOf(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}
