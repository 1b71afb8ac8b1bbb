// `isthmus release verify`: whether a tarball of Isthmus is what the holder of a trusted key built.
import type { Command } from 'commander';
import { keyFingerprint, readReleaseKey, readTrustedKeys, signedDigest, signingKey } from '../../certs/release-keys.ts';
import { hostLayout } from '../../host/layout.ts';
import { examples, type Cli } from '../cli.ts';
import { renderRecord } from '../render/table.ts';
import { readTarball } from '../tarball.ts';

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
    .option('--key <file>', `the public release key (default: those in ${hostLayout().releaseKeys})`);
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

async function verifySoftware(path: string, keyFile: string | undefined): Promise<VerifiedSoftware> {
  const { releaseKeys } = hostLayout();
  const trusted = keyFile === undefined ? await readTrustedKeys(releaseKeys) : [await readReleaseKey(keyFile)];
  const tarball = await readTarball(path, (signed, name) => signedDigest(signed, name, trusted));
  const { version, architecture, sha256, signed } = tarball;
  return { version, architecture, sha256, key: keyFingerprint(signingKey(signed, trusted)) };
}
