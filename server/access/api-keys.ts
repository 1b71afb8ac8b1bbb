// API keys: `isk_<id>_<secret>`; only the SHA-256 of the secret is stored. Roles are ordered: an admin may do all that
// an operator may, an operator all that a viewer may. Nobody creates a key with a higher role or a later expiry than
// their own.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiKey as ApiKeyView } from '../../contract/api-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { ApiKey, ApiRole } from '../store/access/api-keys.ts';
import type { Actor } from '../store/base.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

const RANK: Readonly<Record<ApiRole, number>> = { viewer: 1, operator: 2, admin: 3 };
const KEY_SHAPE = /^isk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

/** Compared with when the key does not exist, so that the answer takes as long. */
const NO_HASH = createHash('sha256').update('no such key').digest('hex');

export interface Principal {
  readonly keyId: string;
  readonly role: ApiRole;
}

/** Whether someone of role `has` may do what needs `needs`. */
export function covers(has: ApiRole, needs: ApiRole): boolean {
  return RANK[has] >= RANK[needs];
}

interface NewApiKey {
  readonly name: string;
  readonly role: ApiRole;
  readonly expiresAt?: number | undefined;
}

/** Live keys that one key may have created. */
const MOST_KEYS = 100;

/**
 * Creates a key and returns it once, in clear. FORBIDDEN for viewers, for a role above the creator's, and for an expiry
 * after that of the creator's own key, which is the default. RESOURCE_EXHAUSTED when the creator has 100 live keys.
 */
export async function createApiKey(
  tx: StoreTransaction,
  input: NewApiKey,
  creator: { readonly actor: Actor; readonly role: ApiRole },
): Promise<{ readonly record: ApiKey; readonly key: string }> {
  if (!covers(creator.role, input.role)) {
    throw new IsthmusError('FORBIDDEN', `a key of role ${creator.role} cannot create one of role ${input.role}`, {
      field: 'role',
    });
  }
  if (!covers(creator.role, 'operator')) throw new IsthmusError('FORBIDDEN', 'viewers cannot create keys');
  const now = Date.now();
  const expiresAt = limitedExpiry(input.expiresAt, (await tx.apiKeys.find(creator.actor))?.expiresAt ?? null);
  if (creator.actor !== 'system' && (await tx.apiKeys.countLive(creator.actor, now)) >= MOST_KEYS) {
    throw new IsthmusError('RESOURCE_EXHAUSTED', `this key has created ${MOST_KEYS} keys that are still valid`, {
      remedy: 'Revoke keys that are not needed any more.',
    });
  }
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  const { name, role } = input;
  const record = { id, name, role, hash: hashOf(secret), createdAt: now, expiresAt };
  await tx.apiKeys.insert(record, creator.actor);
  await tx.events.append({
    actor: creator.actor,
    type: 'api-key.created',
    subject: id,
    data: { name, role, expiresAt },
  });
  return { record: { ...record, revokedAt: null }, key: `isk_${id}_${secret}` };
}

/** When a key expires whose creator's own expires at `last`; null is never. */
function limitedExpiry(requested: number | undefined, last: number | null): number | null {
  if (last === null || requested === undefined) return requested ?? last;
  if (requested <= last) return requested;
  const message = `a key cannot outlive the one that creates it, which expires at ${new Date(last).toISOString()}`;
  throw new IsthmusError('FORBIDDEN', message, {
    field: 'expiresAt',
  });
}

/**
 * Revokes a key at once. FORBIDDEN for a key of a role above one's own, LAST_ADMIN for the admin key that lasts
 * longest.
 */
export async function revokeApiKey(
  tx: StoreTransaction,
  id: string,
  by: { readonly actor: Actor; readonly role: ApiRole },
): Promise<void> {
  const key = await tx.apiKeys.get(id);
  if (!covers(by.role, key.role)) {
    throw new IsthmusError('FORBIDDEN', `a key of role ${by.role} cannot revoke one of role ${key.role}`);
  }
  const now = Date.now();
  if (key.role === 'admin' && isLive(key, now) && !(await tx.apiKeys.hasLastingAdmin(key))) {
    throw new IsthmusError('LAST_ADMIN', `no other admin key is valid for as long as ${id}`);
  }
  if (!(await tx.apiKeys.revoke(id, now))) return;
  await tx.events.append({ actor: by.actor, type: 'api-key.revoked', subject: id, data: {} });
}

/** A key as the API shows it. */
export function toApiKeyView({ hash: _hash, ...view }: ApiKey): ApiKeyView {
  return view;
}

/** The owner of a presented key, or why it is rejected. */
export type Authentication =
  { readonly kind: 'known'; readonly principal: Principal } | { readonly kind: 'denied'; readonly why: string };

const denied = (why: string): Authentication => ({ kind: 'denied', why });

/** Checks a presented key ('' for none). Only a caller with its secret learns that a key is revoked or expired. */
export async function authenticate(store: Store, presented: string, now: number): Promise<Authentication> {
  if (presented === '') return denied('no API key was sent');
  const [, id, secret] = KEY_SHAPE.exec(presented) ?? [];
  if (id === undefined || secret === undefined) return denied('this is not the form of an API key');
  const key = await store.apiKeys.find(id);
  const matches = timingSafeEqual(Buffer.from(hashOf(secret), 'hex'), Buffer.from(key?.hash ?? NO_HASH, 'hex'));
  if (key === undefined || !matches) return denied('the API key is not known');
  if (key.revokedAt !== null) return denied(`API key ${key.id} was revoked`);
  if (!isLive(key, now)) return denied(`API key ${key.id} has expired`);
  return { kind: 'known', principal: { keyId: key.id, role: key.role } };
}

/** Whether a key is still valid: checked again while a stream is open. */
export function isLive(key: Pick<ApiKey, 'expiresAt' | 'revokedAt'>, now: number): boolean {
  return key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now);
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
