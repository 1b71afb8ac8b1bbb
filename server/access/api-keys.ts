// API keys: `isk_<id>_<secret>`, of which only the SHA-256 of the secret is kept. Roles are ordered: an admin may what
// an operator may, an operator what a viewer may; nobody makes a key with a role above their own, or one that outlives
// their own.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { IsthmusError } from '../../contract/errors.ts';
import type { ApiKey, ApiRole } from '../store/access/api-keys.ts';
import type { Actor } from '../store/base.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

const rank: Readonly<Record<ApiRole, number>> = { viewer: 1, operator: 2, admin: 3 };
const KEY_SHAPE = /^isk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

/** Compared with when there is no such key, so that the answer takes as long. */
const NO_HASH = createHash('sha256').update('no such key').digest('hex');

export interface Principal {
  readonly keyId: string;
  readonly role: ApiRole;
}

/** Whether someone of role `has` may do what needs `needs`. */
export function covers(has: ApiRole, needs: ApiRole): boolean {
  return rank[has] >= rank[needs];
}

interface NewApiKey {
  readonly name: string;
  readonly role: ApiRole;
  readonly expiresAt?: number | undefined;
}

/** Live keys that one maker may have made. */
const MOST_KEYS = 100;

/**
 * Makes a key and answers it once, in clear. FORBIDDEN for viewers, for a role above the maker's, and for an expiry
 * after that of the maker's own key; without an expiry it gets that one. RESOURCE_EXHAUSTED over 100 live keys of one
 * maker.
 */
export async function createApiKey(
  tx: StoreTransaction,
  input: NewApiKey,
  maker: { readonly actor: Actor; readonly role: ApiRole },
): Promise<{ readonly record: ApiKey; readonly key: string }> {
  if (!covers(maker.role, input.role)) {
    throw new IsthmusError('FORBIDDEN', `a key of role ${maker.role} cannot make one of role ${input.role}`, {
      field: 'role',
    });
  }
  if (!covers(maker.role, 'operator')) throw new IsthmusError('FORBIDDEN', 'viewers make no keys');
  const now = Date.now();
  const expiresAt = limitedExpiry(input.expiresAt, (await tx.apiKeys.find(maker.actor))?.expiresAt ?? null);
  if (maker.actor !== 'system' && (await tx.apiKeys.countLive(maker.actor, now)) >= MOST_KEYS) {
    throw new IsthmusError('RESOURCE_EXHAUSTED', `this key has made ${MOST_KEYS} keys that are still good`, {
      remedy: 'Revoke keys that are not needed any more.',
    });
  }
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  const { name, role } = input;
  const record = { id, name, role, hash: hashOf(secret), createdAt: now, expiresAt };
  await tx.apiKeys.insert(record, maker.actor);
  await tx.events.append({
    actor: maker.actor,
    type: 'api-key.created',
    subject: id,
    data: { name, role, expiresAt },
  });
  return { record: { ...record, revokedAt: null }, key: `isk_${id}_${secret}` };
}

/** When a key ends whose maker's own ends at `last`; null is never. */
function limitedExpiry(asked: number | undefined, last: number | null): number | null {
  if (last === null || asked === undefined) return asked ?? last;
  if (asked <= last) return asked;
  throw new IsthmusError('FORBIDDEN', `a key cannot outlive the one it is made with: ${new Date(last).toISOString()}`, {
    field: 'expiresAt',
  });
}

/** Revokes a key at once. FORBIDDEN for a key of a role above one's own. */
export async function revokeApiKey(
  tx: StoreTransaction,
  id: string,
  by: { readonly actor: Actor; readonly role: ApiRole },
): Promise<void> {
  const key = await tx.apiKeys.get(id);
  if (!covers(by.role, key.role)) {
    throw new IsthmusError('FORBIDDEN', `a key of role ${by.role} cannot revoke one of role ${key.role}`);
  }
  if (!(await tx.apiKeys.revoke(id, Date.now()))) return;
  await tx.events.append({ actor: by.actor, type: 'api-key.revoked', subject: id, data: {} });
}

/** Whose a presented key is, or why it opens nothing. */
export type Authentication =
  { readonly kind: 'known'; readonly principal: Principal } | { readonly kind: 'refused'; readonly why: string };

const refusedFor = (why: string): Authentication => ({ kind: 'refused', why });

/** Judges a presented key ('' for none). That a key is revoked or expired is told to who has its secret alone. */
export async function authenticate(store: Store, presented: string, now: number): Promise<Authentication> {
  if (presented === '') return refusedFor('no API key was sent');
  const [, id, secret] = KEY_SHAPE.exec(presented) ?? [];
  if (id === undefined || secret === undefined) return refusedFor('an API key does not look like this');
  const key = await store.apiKeys.find(id);
  const matches = timingSafeEqual(Buffer.from(hashOf(secret), 'hex'), Buffer.from(key?.hash ?? NO_HASH, 'hex'));
  if (key === undefined || !matches) return refusedFor('the API key is not known here');
  if (key.revokedAt !== null) return refusedFor(`API key ${key.id} was revoked`);
  if (!isLive(key, now)) return refusedFor(`API key ${key.id} has expired`);
  return { kind: 'known', principal: { keyId: key.id, role: key.role } };
}

/** Whether a key still opens anything: asked again while a stream is open. */
export function isLive(key: Pick<ApiKey, 'expiresAt' | 'revokedAt'>, now: number): boolean {
  return key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now);
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
