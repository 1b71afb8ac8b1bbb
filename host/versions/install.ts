// Changes of a host's version by hand: installing the version of a tree, and going back to the one before.
import { chmod, mkdir } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import type { HostLayout } from '../layout.ts';
import { begin, checkSchema, rejectPackaged, switching } from './begin.ts';
import { fail, resume, run, type Ended, type Host } from './change.ts';
import { checkCommand, linkCommand, linkedVersion } from '../disk/links.ts';
import { withVersionsLocked } from '../disk/lock.ts';
import { checkArchitecture, readSoftware } from '../disk/software.ts';
import { stageTree, verifyVersion, versionFolder } from '../disk/staging.ts';

/** How long the services have to be as well as before. */
const CONFIRM_WITHIN_S = 120;

interface InstallOptions {
  readonly confirmWithinS?: number | undefined;
  /** Called once the tree is known to be whole and for this host, before anything is switched. */
  readonly onVerified?: (() => Promise<void>) | undefined;
}

/** What became of an installation. */
export type Installed = Ended | { readonly phase: 'unchanged'; readonly to: string };

/**
 * Makes the version in `tree` the current one and keeps it when the services of the host are as well with it as before.
 * Errors that leave everything as it was: SOFTWARE_DAMAGED, SOFTWARE_ARCHITECTURE, SOFTWARE_EXISTS, SCHEMA_NEWER,
 * DISK_FULL, UPGRADE_BUSY, UPGRADE_UNSUPPORTED, FILE_UNUSABLE for another command of the same name.
 */
export async function install(host: Host, tree: string, options: InstallOptions = {}): Promise<Installed> {
  const { layout } = host;
  const { confirmWithinS = CONFIRM_WITHIN_S, onVerified } = options;
  const software = await readSoftware(tree);
  checkArchitecture(software);
  if (tree !== layout.packaged) rejectPackaged(layout);
  await checkCommand(layout);
  await makeVersionsFolder(layout);
  return withVersionsLocked(layout, {}, async () => {
    await resume(host);
    const from = (await linkedVersion(layout.current)) ?? null;
    const stage = async (): Promise<void> => {
      await stageTree(layout, tree, (staged) => checkSchema(layout, staged));
      await onVerified?.();
    };
    if (from === software.version) {
      await stage();
      await linkCommand(layout);
      return { phase: 'unchanged', to: from };
    }
    const change = begin(host, { why: 'install', from, to: software.version, confirmWithinS });
    try {
      await stage();
    } catch (thrown) {
      fail(host, change, IsthmusError.from(thrown, 'FILE_UNUSABLE'));
      throw thrown;
    }
    return run(host, await switching(host, change));
  });
}

/** Goes back to the version before. NOT_FOUND where there is none; else as `install`. */
export async function goBack(host: Host): Promise<Ended> {
  const { layout } = host;
  return withVersionsLocked(layout, {}, async () => {
    await resume(host);
    const [from = null, to] = [await linkedVersion(layout.current), await linkedVersion(layout.previous)];
    if (to === undefined) {
      throw new IsthmusError('NOT_FOUND', 'this host has had no version before the current one', {
        remedy: 'Install the tarball of the wanted version.',
      });
    }
    const folder = versionFolder(layout, to);
    await verifyVersion(folder);
    checkSchema(layout, await readSoftware(folder));
    return run(
      host,
      await switching(host, begin(host, { why: 'go-back', from, to, confirmWithinS: CONFIRM_WITHIN_S })),
    );
  });
}

/** Everybody may use the software, whatever the umask. */
async function makeVersionsFolder({ versions }: HostLayout): Promise<void> {
  await mkdir(versions, { recursive: true });
  await chmod(versions, 0o755);
}
