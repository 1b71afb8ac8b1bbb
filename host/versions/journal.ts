// What the change of a host's version has come to: a tagged union, on disk before each step, so that whoever comes after
// a crash knows whether to go on or to go back. Everybody may read it: a node answers from it how its upgrade goes.
import { readFileSync } from 'node:fs';
import { Type, type Static, type TProperties } from 'typebox';
import { Value } from 'typebox/value';
import { IsthmusError } from '../../contract/errors.ts';
import { JOIN_ROLES, type JoinRole } from '../../contract/join-tokens.ts';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { errnoOf, isDiskFull } from '../../lib/files/disk-space.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';
import { DatabaseCopies } from '../disk/database.ts';
import { freeReserve } from '../disk/reserve.ts';
import { asNoRoom } from '../disk/room.ts';

/** A service that runs when the change begins, and whether it was connected: afterwards it must not be worse. */
export type ServiceBefore = Static<typeof ServiceBefore>;
const ServiceBefore = Type.Object({ role: Type.Enum(NODE_ROLES), connected: Type.Boolean() });

/** Whatever the phase: which change it is. */
const SUBJECT = {
  /** Of the order that asks for it, else a new one. */
  id: Type.String(),
  /** `upgrade`: a node ordered it, and confirms it. */
  why: Type.Enum(['install', 'go-back', 'upgrade']),
  /** The node that ordered it. */
  role: Type.Optional(Type.Enum(JOIN_ROLES)),
  /** The version before; null on a host without one. */
  from: Type.Union([Type.String(), Type.Null()]),
  to: Type.String(),
  confirmWithinS: Type.Number({ minimum: 0 }),
  /** When this phase began, in milliseconds since 1970. */
  at: Type.Integer(),
};

const IN_PROGRESS = {
  services: Type.Array(ServiceBefore),
  /** The copies of the server's database that were there: going back leaves these. */
  copies: DatabaseCopies,
  /** How often somebody went on with it after a crash. */
  resumed: Type.Integer({ minimum: 0 }),
};
const FAILURE = { code: Type.String(), message: Type.String() };

function Phase<Name extends string, Properties extends TProperties>(phase: Name, properties: Properties) {
  return Type.Object({ phase: Type.Literal(phase), ...SUBJECT, ...properties });
}

/** How the last upgrade that a node ordered has ended: other changes may have come after it. */
const UpgradeEnd = Type.Union([Phase('confirmed', {}), Phase('went-back', FAILURE), Phase('failed', FAILURE)]);
const EndedUpgrades = Type.Object({
  relay: Type.Optional(UpgradeEnd),
  mirror: Type.Optional(UpgradeEnd),
  tentacle: Type.Optional(UpgradeEnd),
});
type EndedUpgrades = Static<typeof EndedUpgrades>;

/** By role; all that this change may overwrite. */
const EARLIER = { earlier: Type.Optional(EndedUpgrades) };

/**
 * The phases in order. Until `switching` nothing has changed for the services; `confirmed`, `went-back` and `failed`
 * are ends.
 */
export type Change = Static<typeof Change>;
const Change = Type.Union([
  Phase('unpacking', EARLIER),
  /** The version is complete in its folder; `current` may lead to it already. */
  Phase('switching', { ...EARLIER, ...IN_PROGRESS }),
  /** `current` leads to it; the services may run from either version. */
  Phase('restarting', { ...EARLIER, ...IN_PROGRESS }),
  /** The services run from it, and are watched. */
  Phase('awaiting-confirmation', { ...EARLIER, ...IN_PROGRESS }),
  Phase('confirmed', EARLIER),
  /** It does not work: `current` is, or will be, the version before. */
  Phase('going-back', { ...EARLIER, ...IN_PROGRESS, ...FAILURE }),
  Phase('went-back', { ...EARLIER, ...FAILURE }),
  /** It ended before anything had changed. */
  Phase('failed', { ...EARLIER, ...FAILURE }),
]);

/** A change in one of its phases. */
export type ChangeIn<Name extends Change['phase']> = Extract<Change, { readonly phase: Name }>;

/** Whether nothing more comes of it. */
export function hasEnded(change: Change): change is ChangeIn<'confirmed' | 'went-back' | 'failed'> {
  return ['confirmed', 'went-back', 'failed'].includes(change.phase);
}

/**
 * The last change of the version of this host; undefined when there was none. UPGRADE_JOURNAL_UNREADABLE where its file
 * is none of ours, or cannot be read: then nobody knows whether that change has ended.
 */
export function readJournal({ journal }: HostLayout): Change | undefined {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(journal, 'utf8'));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw unreadable(`${journal} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (Value.Check(Change, content)) return content;
  throw unreadable(`${journal} does not tell of a change as this version of Isthmus does`);
}

/** What has become of the upgrade that a node ordered, as far as the host has begun; errors of `readJournal`. */
export function upgradeOf(layout: HostLayout, role: JoinRole, id: string): Change | undefined {
  const last = readJournal(layout);
  const found = last?.role === role && last.id === id ? last : last?.earlier?.[role];
  return found?.id === id ? found : undefined;
}

/** What the change after `last` has to keep of it. */
export function keptOf(last: Change | undefined): { readonly earlier?: EndedUpgrades } {
  if (last === undefined) return {};
  const { earlier, ...change } = last;
  if (change.role === undefined || !hasEnded(change)) return earlier === undefined ? {} : { earlier };
  return { earlier: { ...earlier, [change.role]: change } };
}

function unreadable(message: string, cause?: unknown): IsthmusError {
  return new IsthmusError('UPGRADE_JOURNAL_UNREADABLE', message, { cause });
}

/**
 * Writes the phase that begins now; on disk when it returns. Where the disk is full, it takes the room that was kept for
 * this; DISK_FULL when that is gone, too.
 */
export function writeJournal<Phase extends Change>(layout: HostLayout, change: Phase): Phase {
  const write = (): void => writeDurably(layout.journal, `${JSON.stringify(change)}\n`, 0o644);
  try {
    write();
  } catch (thrown) {
    if (!isDiskFull(thrown)) throw thrown;
    freeReserve(layout);
    try {
      write();
    } catch (again) {
      throw asNoRoom(layout, again);
    }
  }
  return change;
}
