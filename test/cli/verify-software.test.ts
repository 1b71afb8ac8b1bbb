// `isthmus release verify`: a tarball is taken for what it is called only when a trusted key signed that.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { appendFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keyFingerprint, signSums } from '../../certs/release-keys.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

const name = 'isthmus-1.2.3-linux-x64.tar.gz';
const { publicKey, privateKey } = generateKeyPairSync('ed25519');

/** A signed tarball, or what is called so, in a folder of its own. */
async function built(): Promise<{ folder: string; tarball: string; key: string; sha256: string }> {
  const folder = await tempDir();
  const [tarball, key] = [join(folder, name), join(folder, 'isthmus-release.pub')];
  const sha256 = createHash('sha256').update('the software').digest('hex');
  const sums = `${sha256}  ${name}\n`;
  await writeFile(tarball, 'the software');
  await writeFile(key, publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(join(folder, 'SHA256SUMS'), sums);
  await writeFile(join(folder, 'SHA256SUMS.sig'), signSums(sums, privateKey));
  return { folder, tarball, key, sha256 };
}

it('prints version, architecture and digest, and who signed them', async () => {
  const { tarball, key, sha256 } = await built();
  const { code, out } = await isthmus(['-o', 'json', 'release', 'verify', tarball, '--key', key]);
  expect(code).toBe(0);
  const fingerprint = keyFingerprint(publicKey);
  expect(JSON.parse(out)).toEqual({ version: '1.2.3', architecture: 'x64', sha256, key: fingerprint });
  const text = await isthmus(['release', 'verify', tarball, '--key', key]);
  expect(text.out).toContain(`signed by     ${fingerprint}`);
});

it('fails with a code for what has changed, and what is missing', async () => {
  const { folder, tarball, key } = await built();
  const verify = async (file = tarball): Promise<string> => {
    const { code, err, out } = await isthmus(['release', 'verify', file, '--key', key]);
    expect(out).toBe('');
    return `${code} ${/\(([A-Z_]+)\)$/m.exec(err)?.[1]}`;
  };
  await appendFile(tarball, '!');
  expect(await verify()).toBe('1 SOFTWARE_DAMAGED');
  const other = join(folder, name.replace('1.2.3', '1.2.4'));
  await rename(tarball, other);
  expect(await verify()).toBe('9 FILE_UNUSABLE');
  expect(await verify(other)).toBe('1 SOFTWARE_NOT_LISTED');
  expect(await verify(key)).toBe('1 SOFTWARE_NOT_LISTED');
  await appendFile(join(folder, 'SHA256SUMS'), '\n');
  expect(await verify(other)).toBe('1 SOFTWARE_SIGNATURE_WRONG');
  await rm(join(folder, 'SHA256SUMS.sig'));
  expect(await verify(other)).toBe('1 SOFTWARE_UNSIGNED');
});
