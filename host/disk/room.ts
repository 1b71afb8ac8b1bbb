// Room on the disk of a host for another version, and what is said where there is none.
import { statfsSync } from 'node:fs';
import { IsthmusError } from '../../contract/errors.ts';
import { isDiskFull } from '../../lib/files/disk-space.ts';
import type { HostLayout } from '../layout.ts';

/** Left free, so that the change itself, and what else is on the disk, can go on. */
export const SPARE_BYTES = 32 * 1024 ** 2;

const BYTES_PER_MIB = 1024 ** 2;

/** DISK_FULL unless `bytes` more leave enough free. */
export function requireRoom(layout: HostLayout, bytes: number): void {
  const neededBytes = bytes + SPARE_BYTES;
  if (freeBytes(layout) < neededBytes) throw noRoom(layout, { neededBytes });
}

/** Of the error of a full disk, DISK_FULL with what there is left; any other error unchanged. */
export function asNoRoom(layout: HostLayout, thrown: unknown): unknown {
  return isDiskFull(thrown) ? noRoom(layout, { cause: thrown }) : thrown;
}

interface NoRoom {
  readonly neededBytes?: number;
  readonly cause?: unknown;
}

function noRoom(layout: HostLayout, { neededBytes, cause }: NoRoom): IsthmusError {
  const { versions } = layout;
  const needed = neededBytes === undefined ? '' : `${Math.ceil(neededBytes / BYTES_PER_MIB)} MiB are needed, and `;
  const free = `${Math.floor(freeBytes(layout) / BYTES_PER_MIB)} MiB are free`;
  return new IsthmusError('DISK_FULL', `no room in ${versions} for another version: ${needed}${free}`, {
    remedy: `Free space on the disk of ${versions}, then try again.`,
    cause,
  });
}

function freeBytes({ versions }: HostLayout): number {
  const { bavail, bsize } = statfsSync(versions);
  return bavail * bsize;
}
