// Ids that carry their creation time (UUID version 7, RFC 9562 §5.7), and the slugs that name nodes and resources.
import { SLUG_PATTERN } from '../contract/patterns.ts';
import { randomBytes } from 'node:crypto';

/** A new UUIDv7: sorts by creation time, which `idTimeMs` reads back. */
export function newId(nowMs: number = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Whether `id` is a UUIDv7 in its canonical form. */
export function isId(id: string): boolean {
  return UUID_V7.test(id);
}

/** The creation time inside a UUIDv7, in milliseconds since 1970; undefined when `id` is not one. */
export function idTimeMs(id: string): number | undefined {
  return isId(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

const SLUG = new RegExp(SLUG_PATTERN);

/** Whether `name` may name a node or a resource: a DNS label in lower case. */
export function isSlug(name: string): boolean {
  return SLUG.test(name);
}
