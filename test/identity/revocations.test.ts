// The revocation list: only the authority can issue one, only a newer one replaces it, and it survives a restart.
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { PeerIdentity } from '../../certs/peer.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { createTestMesh } from '../support/identities.ts';

const peer = (node: string, issuedAtMs: number): PeerIdentity => ({
  meshId: 'test-mesh',
  node,
  role: 'relay',
  serialNumber: '01',
  notBeforeMs: issuedAtMs - 5 * 60_000,
  notAfterMs: issuedAtMs + 1,
});

test('a newer list is taken, persisted and told; the same and an older one are not', async () => {
  const mesh = await createTestMesh();
  const { revocations, dataDir } = await mesh.node('a', 'relay');
  let told = 0;
  const stop = revocations.onChange(() => (told += 1));
  expect(revocations.version).toBe(0);
  expect(revocations.encode()).toBeUndefined();
  const two = mesh.revoke(2, [{ node: 'b', revokedAtMs: 1_000_000 }]);
  expect(revocations.merge(two)).toBe('newer');
  expect(revocations.merge(two)).toBe('same');
  expect(revocations.merge(mesh.revoke(1, []))).toBe('older');
  expect([revocations.version, told]).toEqual([2, 1]);
  expect(revocations.isRevoked(peer('b', 1_000_000))).toBe(true);
  expect(revocations.isRevoked(peer('b', 1_000_001))).toBe(false);
  expect(revocations.isRevoked(peer('c', 1))).toBe(false);

  const reopened = await RevocationList.open(dataDir, mesh.authorityPem, mesh.meshId);
  expect(reopened.isRevoked(peer('b', 999_999))).toBe(true);
  expect(reopened.encode()).toEqual(revocations.encode());
  stop();
  revocations.merge(mesh.revoke(3, []));
  expect(told).toBe(1);
});

test('a list that is forged, of another mesh, or another kind of statement changes nothing', async () => {
  const mesh = await createTestMesh();
  const other = await createTestMesh();
  const elsewhere = await createTestMesh('mesh-b');
  const { revocations } = await mesh.node('a', 'relay');
  const good = mesh.revoke(5, [{ node: 'b', revokedAtMs: 10 }]);
  const flipped = Buffer.from(good.statement);
  flipped[flipped.length - 1]! ^= 1;
  expect(revocations.merge({ ...good, statement: flipped })).toBe('invalid');
  expect(revocations.merge({ ...good, signature: Buffer.alloc(384) })).toBe('invalid');
  expect(revocations.merge(other.revoke(5, []))).toBe('invalid');
  expect(revocations.merge(elsewhere.revoke(5, []))).toBe('invalid');
  expect(revocations.merge({ ...good, signature: mesh.authority.sign('signer', good.statement) })).toBe('invalid');
  expect(revocations.merge({ statement: Buffer.from('nonsense'), signature: Buffer.from('x') })).toBe('invalid');
  expect(revocations.version).toBe(0);
});

test('a spoilt file on disk counts as none', async () => {
  const mesh = await createTestMesh();
  const { revocations, dataDir } = await mesh.node('a', 'relay');
  revocations.merge(mesh.revoke(2, [{ node: 'b', revokedAtMs: 10 }]));
  const path = join(dataDir, 'revocations.bin');
  const bytes = readFileSync(path);
  bytes[10]! ^= 1;
  writeFileSync(path, bytes);
  expect((await RevocationList.open(dataDir, mesh.authorityPem, mesh.meshId)).version).toBe(0);
});

test('a list that the disk does not take is in force and told, and written once the disk takes it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const mesh = await createTestMesh();
  const { revocations, dataDir } = await mesh.node('a', 'relay');
  let told = 0;
  revocations.onChange(() => (told += 1));
  const path = join(dataDir, 'revocations.bin');
  // No file can be created where a folder is.
  mkdirSync(path);
  expect(revocations.merge(mesh.revoke(2, [{ node: 'b', revokedAtMs: 10 }]))).toBe('newer');
  expect(told).toBe(1);
  expect(revocations.isRevoked(peer('b', 10))).toBe(true);
  vi.advanceTimersByTime(60_000);
  rmdirSync(path);
  vi.advanceTimersByTime(60_000);
  const reopened = await RevocationList.open(dataDir, mesh.authorityPem, mesh.meshId);
  expect(reopened.isRevoked(peer('b', 10))).toBe(true);
});
