// Envelopes and download tokens: valid ones are accepted, and every change to one is rejected (I7).
import { beforeAll, afterAll, describe, expect, test } from 'vitest';
import {
  createSigner,
  verifyEnvelope,
  verifyDownloadToken,
  type EnvelopeContent,
  type Signer,
} from '../../certs/signer.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';

const removals: (() => void)[] = [];
let mesh: TestMesh;
let signer: Signer;
beforeAll(async () => {
  mesh = await createTestMesh('mesh-a', (remove) => removals.push(remove));
  signer = createSigner(mesh.authority, 'server-1');
});
afterAll(() => removals.forEach((remove) => remove()));

const dayMs = 86_400_000;
const content: EnvelopeContent = {
  tentacle: 'web-1',
  ticket: 'ticket-1',
  task: 'task-1',
  epoch: 3,
  expiresAtMs: 1_900_000_000_000,
  kind: 'script',
  payload: Buffer.from('echo hello'),
};
const self = { self: 'web-1', kind: 'script' } as const;
const code = (name: string): unknown => expect.objectContaining({ code: name });

describe('an envelope', () => {
  test('is read by its tentacle', () => {
    expect(verifyEnvelope(signer.signEnvelope(content), mesh, self)).toMatchObject(content);
  });

  test('is rejected by another tentacle, and for another call', () => {
    const envelope = signer.signEnvelope(content);
    expect(() => verifyEnvelope(envelope, mesh, { ...self, self: 'web-2' })).toThrow(code('WRONG_RECIPIENT'));
    expect(() => verifyEnvelope(envelope, mesh, { ...self, kind: 'cancel' })).toThrow(code('ENVELOPE_KIND'));
  });

  test('with any byte of any part flipped is rejected', () => {
    const envelope = signer.signEnvelope(content) as Record<keyof Envelope, Buffer>;
    for (const part of ['signer', 'signerSignature', 'body', 'signature'] as const) {
      for (let at = 0; at < envelope[part].length; at += 1) {
        const changed = Buffer.from(envelope[part]);
        changed[at]! ^= 0x20;
        expect(() => verifyEnvelope({ ...envelope, [part]: changed }, mesh, self), `${part}[${at}]`).toThrow(
          code('BAD_TASK_SIGNATURE'),
        );
      }
      expect(() => verifyEnvelope({ ...envelope, [part]: undefined }, mesh, self)).toThrow(code('BAD_TASK_SIGNATURE'));
    }
    expect(() => verifyEnvelope(null, mesh, self)).toThrow(code('BAD_TASK_SIGNATURE'));
  });

  test('signed by a key that the authority of another mesh, or a node, introduced is rejected', async () => {
    const other = await createTestMesh('mesh-a');
    const elsewhere = await createTestMesh('mesh-b');
    for (const forger of [createSigner(other.authority, 'server-1'), createSigner(elsewhere.authority, 'server-1')]) {
      expect(() => verifyEnvelope(forger.signEnvelope(content), mesh, self)).toThrow(code('BAD_TASK_SIGNATURE'));
    }
    const mine = createSigner({ meshId: 'mesh-a', sign: () => Buffer.alloc(384) }, 'server-1');
    const stolen = { ...mine.signEnvelope(content), ...introductionOf(signer.signEnvelope(content)) };
    expect(() => verifyEnvelope(stolen, mesh, self)).toThrow(code('BAD_TASK_SIGNATURE'));
  });

  test('with parts of two envelopes is rejected', () => {
    const one = signer.signEnvelope(content);
    const two = signer.signEnvelope({ ...content, ticket: 'ticket-2' });
    expect(() => verifyEnvelope({ ...one, ...{ body: two.body! } }, mesh, self)).toThrow(code('BAD_TASK_SIGNATURE'));
  });

  test('is good while its signer is, with five minutes of skew', () => {
    const nowMs = Date.now();
    const envelope = signer.signEnvelope(content, nowMs);
    const at = (ms: number) => () => verifyEnvelope(envelope, mesh, { ...self, nowMs: ms });
    expect(at(nowMs + 6 * dayMs)).not.toThrow();
    expect(at(nowMs + 8 * dayMs)).toThrow(code('BAD_TASK_SIGNATURE'));
    expect(at(nowMs - dayMs)).toThrow(/the clock here says/);
    const later = signer.signEnvelope(content, nowMs + 30 * dayMs);
    expect(verifyEnvelope(later, mesh, { ...self, nowMs: nowMs + 31 * dayMs }).ticket).toBe('ticket-1');
  });

  test('of a revoked server is rejected', async () => {
    const { revocations } = await mesh.node('web-1', 'tentacle');
    revocations.merge(mesh.revoke(1, [{ node: 'server-1', revokedAtMs: Date.now() + 1000 }]));
    const envelope = signer.signEnvelope(content);
    expect(() => verifyEnvelope(envelope, mesh, { ...self, revocations })).toThrow(code('BAD_TASK_SIGNATURE'));
  });
});

function introductionOf({ signer: statement, signerSignature }: Envelope): Partial<Envelope> {
  return { signer: statement!, signerSignature: signerSignature! };
}

describe('a download token', () => {
  const nowMs = Date.now();
  const downloadToken = {
    sha256: 'ab'.repeat(32),
    sizeBytes: 77,
    site: 'eu',
    node: 'web-1',
    expiresAtMs: nowMs + 60_000,
  };

  test('allows its digest to its node at its site, for its time', () => {
    const text = signer.signDownloadToken(downloadToken);
    expect(text).toMatch(/^isd_[\w.-]+$/);
    expect(verifyDownloadToken(text, mesh, { sha256: downloadToken.sha256, site: 'eu', node: 'web-1' })).toEqual(
      downloadToken,
    );
    const denials = [
      { sha256: 'cd'.repeat(32), site: 'eu' },
      { sha256: downloadToken.sha256, site: 'us' },
      { sha256: downloadToken.sha256, site: 'eu', node: 'web-2' },
      { sha256: downloadToken.sha256, site: 'eu', nowMs: nowMs + 10 * 60_000 },
    ].map((asked) => messageOf(() => verifyDownloadToken(text, mesh, asked)));
    for (const spoilt of [
      '',
      'isd_',
      'isd_a.b.c.d',
      text.slice(0, -4),
      `${text}A`.replace('.', '.A'),
      'x'.repeat(9999),
    ]) {
      denials.push(messageOf(() => verifyDownloadToken(spoilt, mesh, { sha256: downloadToken.sha256 })));
    }
    expect(new Set(denials)).toEqual(new Set(['FORBIDDEN there is no download token for this']));
  });

  test('that was accepted once is denied by another mesh, and once its signer is out of date', async () => {
    const { sha256 } = downloadToken;
    const text = signer.signDownloadToken({ ...downloadToken, expiresAtMs: nowMs + 90 * dayMs });
    const other = await createTestMesh('mesh-b', (remove) => removals.push(remove));
    const answers = [mesh, other, mesh].map((trust, days) =>
      messageOf(() => verifyDownloadToken(text, trust, { sha256, nowMs: nowMs + 4 * days * dayMs })),
    );
    expect(answers).toEqual([
      'accepted',
      ...answers.slice(1).map(() => 'FORBIDDEN there is no download token for this'),
    ]);
  });

  test('is no envelope, nor the other way round', () => {
    const envelope = signer.signEnvelope(content) as Record<keyof Envelope, Buffer>;
    const parts = [envelope.signer, envelope.signerSignature, envelope.body, envelope.signature];
    const text = `isd_${parts.map((part) => part.toString('base64url')).join('.')}`;
    expect(messageOf(() => verifyDownloadToken(text, mesh, { sha256: downloadToken.sha256 }))).toMatch(/^FORBIDDEN/);
  });
});

function messageOf(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown ? `${String(thrown.code)} ${thrown.message}` : String(thrown);
  }
}
