// Trust in the software: whose signature counts, and what it says.
import { generateKeyPairSync } from 'node:crypto';
import { chmod, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import {
  keyFingerprint,
  parseTarballName,
  readReleaseKey,
  readSignedSums,
  readTrustedKeys,
  signedDigest,
  signSums,
} from './release-keys.ts';

const digest = 'a'.repeat(64);
const name = 'isthmus-1.2.3-linux-x64.tar.gz';
const sums = `${'b'.repeat(64)}  isthmus-1.2.3-linux-arm64.tar.gz\n${digest}  ${name}\n`;
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' });
const signed = { sums, signature: signSums(sums, privateKey) };

const code = (expected: string): unknown => expect.objectContaining({ code: expected });

describe('a signed list', () => {
  it('tells the digest of a name, by any of the trusted keys', () => {
    expect(signedDigest(signed, name, [stranger.publicKey, publicKey])).toBe(digest);
  });

  it('counts for nothing without a trusted key, a signature, or the right one', () => {
    const look = (change: Partial<typeof signed>, keys = [publicKey]): (() => string) => {
      return () => signedDigest({ ...signed, ...change }, name, keys);
    };
    expect(look({}, [])).toThrow(code('SOFTWARE_KEYS_MISSING'));
    expect(look({ signature: Buffer.alloc(0) })).toThrow(code('SOFTWARE_UNSIGNED'));
    expect(look({}, [stranger.publicKey])).toThrow(code('SOFTWARE_SIGNATURE_WRONG'));
    expect(look({ sums: sums.replace(digest, 'c'.repeat(64)) })).toThrow(code('SOFTWARE_SIGNATURE_WRONG'));
    expect(look({ sums: `${sums}\n` })).toThrow(code('SOFTWARE_SIGNATURE_WRONG'));
    expect(look({ signature: signed.signature.subarray(1) })).toThrow(code('SOFTWARE_SIGNATURE_WRONG'));
  });

  it('must have the whole name, once', () => {
    const look = (listed: string): (() => string) => {
      return () => signedDigest({ sums: listed, signature: signSums(listed, privateKey) }, name, [publicKey]);
    };
    for (const other of [
      `${digest}  x${name}\n`,
      `${digest}  ./${name}\n`,
      `${digest} ${name}\n`,
      `${name}\n`,
      '',
      `${sums}more\n`,
    ]) {
      expect(look(other)).toThrow(code('SOFTWARE_NOT_LISTED'));
    }
    expect(look(`${sums}${'c'.repeat(64)}  ${name}\n`)).toThrow(code('SOFTWARE_NOT_LISTED'));
  });

  it('lies beside the tarball, with its signature', async () => {
    const folder = await tempDir();
    await expect(readSignedSums(folder)).rejects.toThrow(code('SOFTWARE_UNSIGNED'));
    await writeFile(join(folder, 'SHA256SUMS'), sums);
    await expect(readSignedSums(folder)).rejects.toThrow(code('SOFTWARE_UNSIGNED'));
    await writeFile(join(folder, 'SHA256SUMS.sig'), signed.signature);
    expect(await readSignedSums(folder)).toEqual(signed);
  });
});

describe('trusted keys', () => {
  it('are the *.pub of a folder, none where there is no folder', async () => {
    const folder = await tempDir();
    expect(await readTrustedKeys(join(folder, 'none'))).toEqual([]);
    await writeFile(join(folder, 'a.pub'), pem);
    await writeFile(join(folder, 'b.pub'), stranger.publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(folder, 'readme'), 'of the keys');
    const keys = await readTrustedKeys(folder);
    expect(keys.map(keyFingerprint)).toEqual([publicKey, stranger.publicKey].map(keyFingerprint));
  });

  it('are not read where others can change them, nor through a link', async () => {
    const folder = await tempDir();
    await writeFile(join(folder, 'a.pub'), pem);
    await chmod(join(folder, 'a.pub'), 0o664);
    await expect(readTrustedKeys(folder)).rejects.toThrow(code('PERMISSIONS_UNSAFE'));
    await chmod(join(folder, 'a.pub'), 0o644);
    await chmod(folder, 0o777);
    await expect(readTrustedKeys(folder)).rejects.toThrow(code('PERMISSIONS_UNSAFE'));
    await chmod(folder, 0o755);
    await symlink('a.pub', join(folder, 'b.pub'));
    await expect(readTrustedKeys(folder)).rejects.toThrow(code('PERMISSIONS_UNSAFE'));
  });

  it('are public Ed25519 keys only', async () => {
    const folder = await tempDir();
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    for (const content of [
      rsa.export({ type: 'spki', format: 'pem' }),
      privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'no key',
    ]) {
      const path = join(folder, 'a.pub');
      await writeFile(path, content);
      await expect(readReleaseKey(path)).rejects.toThrow(code('CONFIG_INVALID'));
    }
    for (const path of [folder, '/dev/zero']) {
      await expect(readReleaseKey(path)).rejects.toThrow(code('CONFIG_INVALID'));
    }
  });
});

it('reads version and architecture from the name of a tarball, and from nothing like it', () => {
  expect(parseTarballName(name)).toEqual({ version: '1.2.3', architecture: 'x64' });
  expect(parseTarballName('isthmus-0.1.0-rc.1-linux-arm64.tar.gz')).toEqual({
    version: '0.1.0-rc.1',
    architecture: 'arm64',
  });
  for (const other of [`x${name}`, `${name}.sig`, 'isthmus-1.2-linux-x64.tar.gz', 'isthmus-1.2.3-linux-ppc.tar.gz']) {
    expect(parseTarballName(other)).toBeUndefined();
  }
  expect(parseTarballName('isthmus-1.2.3-/../../x-linux-x64.tar.gz')).toBeUndefined();
});
