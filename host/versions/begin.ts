// The begin of a change of a host's version: what forbids it, and what is noted before anything changes.
import { IsthmusError } from '../../contract/errors.ts';
import { newId } from '../../lib/ids.ts';
import { isPackaged, type HostLayout } from '../layout.ts';
import { readStatus } from '../status.ts';
import { record, type Host } from './change.ts';
import { databaseCopies } from '../disk/database.ts';
import { keptOf, readJournal, type ChangeIn, type ServiceBefore } from './journal.ts';
import { keepReserve } from '../disk/reserve.ts';
import type { Software } from '../disk/software.ts';

/** UPGRADE_UNSUPPORTED where a Debian package has the software: only its own means change the version. */
export function rejectPackaged(layout: HostLayout): void {
  if (!isPackaged(layout)) return;
  throw new IsthmusError('UPGRADE_UNSUPPORTED', 'the software of this host came as a Debian package');
}

/** SCHEMA_NEWER when the server of this host has a database that the software does not know. */
export function checkSchema(layout: HostLayout, { version, schema }: Software): void {
  const has = readStatus(layout.dataDir('server'))?.schema;
  if (has === undefined || has <= schema) return;
  throw new IsthmusError(
    'SCHEMA_NEWER',
    `the database of the server has migration ${has}, which ${version} does not know`,
  );
}

/** Begins a change: from here on its end is in the journal. */
export function begin(
  host: Host,
  change: Omit<ChangeIn<'unpacking'>, 'id' | 'at' | 'phase' | 'earlier'> & { readonly id?: string },
): ChangeIn<'unpacking'> {
  const kept = keptOf(readJournal(host.layout));
  keepReserve(host.layout);
  return record(host, { id: newId(), at: 0, ...change, ...kept, phase: 'unpacking' });
}

/** The version is in its folder: what runs now is noted, and from here on the change goes on after a crash. */
export async function switching(host: Host, change: ChangeIn<'unpacking'>): Promise<ChangeIn<'switching'>> {
  const roles = await host.services.active();
  const services: ServiceBefore[] = await Promise.all(
    roles.map(async (role) => {
      const { pid, status } = await host.services.state(role);
      return { role, connected: status?.state === 'connected' && status.pid === pid };
    }),
  );
  const copies = databaseCopies(host.layout);
  return record(host, { ...change, phase: 'switching', services, copies, resumed: 0 });
}
