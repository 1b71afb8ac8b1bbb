// A machine in words: what keeps it from work comes before its health, of which nobody learns then.
import type { Machine } from '../../contract/machines.ts';

/** `revoked`, `disabled`, or its health */
export function statusText({ state, disabled, health }: Machine): string {
  if (state === 'revoked') return 'revoked';
  return disabled ? 'disabled' : health;
}

/** `warning (load 13.8 on 2 cores)` */
export function healthText(machine: Machine): string {
  if (machine.state === 'revoked') return 'revoked (until it joins again)';
  const reasons = machine.disabled ? [] : (machine.healthReport?.reasons ?? []).map(({ text }) => text);
  return reasons.length === 0 ? statusText(machine) : `${statusText(machine)} (${reasons.join('; ')})`;
}

/** Whether tasks have anything for it. */
export function acceptsWork({ state, disabled }: Machine): boolean {
  return state !== 'revoked' && !disabled;
}
