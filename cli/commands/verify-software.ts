// `isthmus release verify`: whether a tarball of Isthmus is what the holder of a trusted key built.
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import {
  keyFingerprint,
  parseTarballName,
  readReleaseKey,
  readSignedSums,
  readTrustedKeys,
  signedDigest,
  signingKey,
  TRUSTED_KEYS_FOLDER,
} from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { digestFile } from '../../lib/blobs/digest.ts';
import { examples, type Cli } from '../cli.ts';
import { renderRecord } from '../render/table.ts';

interface VerifiedSoftware {
  readonly version: string;
  readonly architecture: string;
  readonly sha256: string;
  /** The fingerprint of the key that signed it. */
  readonly key: string;
}

/** Adds `verify` to the group `release`. */
export function addVerifyCommand(group: Command, cli: Cli): void {
  const verify = group
    .command('verify <tarball>')
    .description('check a tarball of Isthmus against SHA256SUMS and its signature, which lie beside it')
    .option('--key <file>', `the public release key (default: those in ${TRUSTED_KEYS_FOLDER})`);
  examples(
    verify,
    'isthmus release verify isthmus-0.2.0-linux-x64.tar.gz',
    'isthmus release verify isthmus-0.2.0-linux-x64.tar.gz --key isthmus-release.pub',
  ).action(async (tarball: string, { key }: { key?: string }) => {
    const verified = await verifySoftware(tarball, key);
    const { key: signedBy, ...shown } = verified;
    cli.show(verified, () => renderRecord({ ...shown, 'signed by': signedBy }));
  });
}

async function verifySoftware(tarball: string, keyFile: string | undefined): Promise<VerifiedSoftware> {
  const name = basename(tarball);
  const parsed = parseTarballName(name);
  if (parsed === undefined) {
    throw new IsthmusError(
      'SOFTWARE_NOT_LISTED',
      `${name} is not named like isthmus-VERSION-linux-ARCHITECTURE.tar.gz`,
    );
  }
  const trusted = keyFile === undefined ? await readTrustedKeys(TRUSTED_KEYS_FOLDER) : [await readReleaseKey(keyFile)];
  const file = await open(tarball);
  try {
    if (!(await file.stat()).isFile()) throw new IsthmusError('FILE_UNUSABLE', `${tarball} is not a file`);
    const signed = await readSignedSums(dirname(tarball));
    const wanted = signedDigest(signed, name, trusted);
    const sha256 = (await digestFile(file)).sha256();
    if (sha256 !== wanted) {
      throw new IsthmusError('SOFTWARE_DAMAGED', `${name} has the SHA-256 ${sha256}, not ${wanted}`);
    }
    return { ...parsed, sha256, key: keyFingerprint(signingKey(signed, trusted)) };
  } finally {
    await file.close();
  }
}
