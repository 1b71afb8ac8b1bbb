// What a host has: its versions, which of them is which, and how the last change of them has ended.
import { keyFingerprint, readTrustedKeys } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import type { HostLayout } from '../layout.ts';
import { readJournal, type Change } from './journal.ts';
import { linkedVersion } from '../disk/links.ts';
import { presentVersions } from '../disk/unused.ts';

export interface HostVersions {
  /** The lowest first. */
  readonly versions: readonly string[];
  readonly current: string | null;
  readonly previous: string | null;
  readonly knownGood: string | null;
  /** SHA-256 of each release key that is trusted here. */
  readonly trustedKeys: readonly string[];
  readonly lastChange: Change | null;
  /** Why that is not known, where its file is unreadable. */
  readonly journalError: Pick<IsthmusError, 'code' | 'message' | 'remedy'> | null;
}

/** Reads all of it; changes nothing. */
export async function showHost(layout: HostLayout): Promise<HostVersions> {
  const linked = async (link: string): Promise<string | null> => (await linkedVersion(link)) ?? null;
  return {
    versions: (await presentVersions(layout)).toSorted(compareVersions),
    current: await linked(layout.current),
    previous: await linked(layout.previous),
    knownGood: await linked(layout.knownGood),
    trustedKeys: (await readTrustedKeys(layout.releaseKeys)).map(keyFingerprint),
    ...readLastChange(layout),
  };
}

function readLastChange(layout: HostLayout): Pick<HostVersions, 'lastChange' | 'journalError'> {
  try {
    return { lastChange: readJournal(layout) ?? null, journalError: null };
  } catch (thrown) {
    const { code, message, remedy } = IsthmusError.from(thrown);
    return { lastChange: null, journalError: { code, message, remedy } };
  }
}
