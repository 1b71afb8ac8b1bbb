// What people pin at mirrors: versions that stay in a cache although nothing that is live needs them.
import { IsthmusError } from '../../contract/errors.ts';
import { packageIdKey, versionKey } from '../../lib/package-versions.ts';
import type { Actor } from '../store/base.ts';
import type { StoreTransaction } from '../store/store.ts';

/** A version of a package, as a request names it, and the mirror. */
export interface PinRequest {
  readonly mirror: string;
  readonly package: string;
  readonly version: string;
}

/** Keeps a version in the cache of a mirror. INVALID_FIELD when the feed has none; again, it changes nothing. */
export async function pinVersion(tx: StoreTransaction, request: PinRequest, actor: Actor): Promise<void> {
  const { mirror } = request;
  const found = await tx.packages.find(packageIdKey(request.package), versionKey(request.version));
  if (found === undefined) {
    throw new IsthmusError('INVALID_FIELD', `the feed has no version ${request.version} of ${request.package}`, {
      field: 'version',
      action: { code: 'CHOOSE_PACKAGE_VERSION', arguments: { package: request.package } },
    });
  }
  const { id, version, idKey, versionKey: key } = found;
  if (!(await tx.mirrorPins.add({ mirror, idKey, versionKey: key }))) return;
  await tx.events.append({ actor, type: 'mirror.pinned', subject: mirror, data: { package: id, version } });
}

/** Ends a pin that somebody set; NOT_FOUND when there is none. */
export async function unpinVersion(tx: StoreTransaction, request: PinRequest, actor: Actor): Promise<void> {
  const { mirror, package: id, version } = request;
  const pin = { mirror, idKey: packageIdKey(id), versionKey: versionKey(version) };
  if (!(await tx.mirrorPins.remove(pin))) {
    throw new IsthmusError('NOT_FOUND', `nobody pinned ${id} ${version} at ${mirror}`, {
      remedy: 'What is live at its sites, and the version before it, the server pins as long as that holds.',
    });
  }
  await tx.events.append({ actor, type: 'mirror.unpinned', subject: mirror, data: { package: id, version } });
}
