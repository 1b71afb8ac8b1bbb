// What the change of a host's version has come to: a tagged union, on disk before each step, so that whoever comes after
// a crash knows whether to go on or to go back. Everybody may read it: a node answers from it how its upgrade goes.
import { readFileSync } from 'node:fs';
import { Type, type Static, type TProperties } from 'typebox';
import { Value } from 'typebox/value';
import { JOIN_ROLES } from '../../contract/join-tokens.ts';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { errnoOf, isDiskFull, translateDiskFull } from '../../lib/files/disk-space.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';
import { freeReserve } from './reserve.ts';

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
  /** How often somebody went on with it after a crash. */
  resumed: Type.Integer({ minimum: 0 }),
};
const FAILURE = { code: Type.String(), message: Type.String() };

function Phase<Name extends string, Properties extends TProperties>(phase: Name, properties: Properties) {
  return Type.Object({ phase: Type.Literal(phase), ...SUBJECT, ...properties });
}

/**
 * The phases in order. Until `switching` nothing has changed for the services; `confirmed`, `went-back` and `failed`
 * are ends.
 */
export type Change = Static<typeof Change>;
const Change = Type.Union([
  Phase('unpacking', {}),
  /** The version is complete in its folder; `current` may lead to it already. */
  Phase('switching', IN_PROGRESS),
  /** `current` leads to it; the services may run from either version. */
  Phase('restarting', IN_PROGRESS),
  /** The services run from it, and are watched. */
  Phase('awaiting-confirmation', IN_PROGRESS),
  Phase('confirmed', {}),
  /** It does not work: `current` is, or will be, the version before. */
  Phase('going-back', { ...IN_PROGRESS, ...FAILURE }),
  Phase('went-back', FAILURE),
  /** It ended before anything had changed. */
  Phase('failed', FAILURE),
]);

/** A change in one of its phases. */
export type ChangeIn<Name extends Change['phase']> = Extract<Change, { readonly phase: Name }>;

/** The last change of the version of this host; undefined when there was none, or its file is none of ours. */
export function readJournal({ journal }: HostLayout): Change | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(journal, 'utf8'));
    return Value.Check(Change, content) ? content : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError || errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
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
      throw translateDiskFull(again, layout.journal);
    }
  }
  return change;
}
