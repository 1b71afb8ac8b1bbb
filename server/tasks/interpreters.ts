// Checks, when work is accepted, that its machines have the interpreter it needs, by what their last health checks
// found.
import { IsthmusError } from '../../contract/errors.ts';
import type { HealthReport } from '../../contract/machines.ts';
import type { Machine } from '../store/inventory/machines.ts';
import { nameSome } from './targets.ts';

/**
 * INTERPRETER_MISSING, with the machines that lack the interpreter. Of a machine that was never checked nothing is
 * known: it answers for itself.
 */
export function checkInterpreter(
  interpreter: string,
  machines: readonly Pick<Machine, 'id' | 'healthReport'>[],
  field: string,
): void {
  const lacking = machines.filter(({ healthReport }) => lacks(healthReport as HealthReport | null, interpreter));
  if (lacking.length === 0) return;
  const message = `${interpreter} is missing on: ${nameSome(lacking.map(({ id }) => id))}`;
  throw new IsthmusError('INTERPRETER_MISSING', message, { field });
}

function lacks(report: HealthReport | null, interpreter: string): boolean {
  const found = report?.facts?.['interpreters'];
  if (!Array.isArray(found) || found.length === 0) return false;
  return !found.some(({ name }: { readonly name?: unknown }) => name === interpreter);
}
