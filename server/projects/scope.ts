// Which of several values of a variable holds on a machine: the most specific one.
import type { ScopeDimension } from '../store/schema.ts';
import type { Scope, Variable } from '../store/projects/variables.ts';

/** Where a step runs. */
export interface Place {
  readonly environment: string;
  readonly machine: string;
  readonly targetRoles: readonly string[];
}

/**
 * From the least specific to the most: a machine says more than roles, roles more than an environment; naming two says
 * more than naming the less specific one of them. With what a place is in each.
 */
const DIMENSIONS: Readonly<Record<ScopeDimension, (place: Place) => readonly string[]>> = {
  environment: ({ environment }) => [environment],
  'target-role': ({ targetRoles }) => targetRoles,
  machine: ({ machine }) => [machine],
};

/** The dimensions that a scope limits, each with how much it says. */
function limits(scope: Scope) {
  return Object.entries(DIMENSIONS).flatMap(([dimension, valuesAt], rank) => {
    const values = scope[dimension as ScopeDimension] ?? [];
    return values.length === 0 ? [] : [{ values, valuesAt, weight: 2 ** rank }];
  });
}

/** Whether a scope takes in a place: every dimension that it limits must. */
function applies(scope: Scope, place: Place): boolean {
  return limits(scope).every(({ values, valuesAt }) => valuesAt(place).some((value) => values.includes(value)));
}

/** Of two scopes that apply, the greater holds. */
function specificity(scope: Scope): number {
  return limits(scope).reduce((sum, { weight }) => sum + weight, 0);
}

/** One variable per name: the most specific that applies; of equals the newer, so that the order is never chance. */
export function variablesAt(variables: readonly Variable[], place: Place): Variable[] {
  const best = new Map<string, Variable>();
  for (const variable of variables) {
    if (!applies(variable.scope, place)) continue;
    const rival = best.get(variable.name);
    if (rival === undefined || beats(variable, rival)) best.set(variable.name, variable);
  }
  return [...best.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function beats(variable: Variable, rival: Variable): boolean {
  const difference = specificity(variable.scope) - specificity(rival.scope);
  if (difference !== 0) return difference > 0;
  if (variable.createdAt !== rival.createdAt) return variable.createdAt > rival.createdAt;
  return variable.id > rival.id;
}
