// A tarball of Isthmus on this machine, with the signed list that lies beside it.
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { parseTarballName, readSignedSums, type SignedSums, type TarballName } from '../certs/release-keys.ts';
import { IsthmusError } from '../contract/errors.ts';
import { digestFile } from '../lib/blobs/digest.ts';
import { errnoOf } from '../lib/files/disk-space.ts';

export interface Tarball extends TarballName {
  /** Of the file, without its folder. */
  readonly name: string;
  readonly sha256: string;
  readonly signed: SignedSums;
}

/**
 * Reads a tarball and checks its bytes against the digest that `digestOf` finds for its name in the list beside it.
 * SOFTWARE_NOT_LISTED for another name than a tarball has, SOFTWARE_UNSIGNED without list or signature, SOFTWARE_DAMAGED
 * for other bytes, FILE_UNUSABLE when it cannot be read.
 */
export async function readTarball(
  path: string,
  digestOf: (signed: SignedSums, name: string) => string,
): Promise<Tarball> {
  const name = basename(path);
  const parsed = parseTarballName(name);
  if (parsed === undefined) {
    throw new IsthmusError(
      'SOFTWARE_NOT_LISTED',
      `${name} is not named like isthmus-VERSION-linux-ARCHITECTURE.tar.gz`,
    );
  }
  const file = await open(path).catch((cause: unknown) => {
    throw new IsthmusError('FILE_UNUSABLE', `cannot read ${path} (${errnoOf(cause)})`, { cause });
  });
  try {
    if (!(await file.stat()).isFile()) throw new IsthmusError('FILE_UNUSABLE', `${path} is not a file`);
    const signed = await readSignedSums(dirname(path));
    const wanted = digestOf(signed, name);
    const sha256 = (await digestFile(file)).sha256();
    if (sha256 === wanted) return { ...parsed, name, sha256, signed };
    throw new IsthmusError('SOFTWARE_DAMAGED', `${name} has the SHA-256 ${sha256}, not ${wanted}`);
  } finally {
    await file.close();
  }
}
