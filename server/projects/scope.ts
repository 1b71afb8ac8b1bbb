// Picks a variable's value for a machine: of several values the most specific one.
import type { ScopeDimension } from '../store/schema.ts';
import type { Scope, Variable } from '../store/projects/variables.ts';

/** Where a step runs: what scopes are matched against. */
export interface ScopeTarget {
  readonly environment: string;
  readonly machine: string;
  readonly targetRoles: readonly string[];
}

/**
 * The dimensions from the least specific to the most, each with the values of a target. Powers of two as weights: a
 * machine outweighs roles and environment together, and two dimensions outweigh either alone.
 */
const DIMENSIONS: Readonly<Record<ScopeDimension, (target: ScopeTarget) => readonly string[]>> = {
  environment: ({ environment }) => [environment],
  'target-role': ({ targetRoles }) => targetRoles,
  machine: ({ machine }) => [machine],
};

/** The dimensions that a scope limits, each with its weight. */
function limits(scope: Scope) {
  return Object.entries(DIMENSIONS).flatMap(([dimension, valuesAt], rank) => {
    const values = scope[dimension as ScopeDimension] ?? [];
    return values.length === 0 ? [] : [{ values, valuesAt, weight: 2 ** rank }];
  });
}

/** Whether a scope covers a target: every dimension that it limits must match. */
function applies(scope: Scope, target: ScopeTarget): boolean {
  return limits(scope).every(({ values, valuesAt }) => valuesAt(target).some((value) => values.includes(value)));
}

/** Of two scopes that apply, the one with the greater specificity wins. */
function specificity(scope: Scope): number {
  return limits(scope).reduce((sum, { weight }) => sum + weight, 0);
}

/** One variable per name: the most specific that applies; of equals the newer, so that the result is deterministic. */
export function variablesAt(variables: readonly Variable[], target: ScopeTarget): Variable[] {
  const best = new Map<string, Variable>();
  for (const variable of variables) {
    if (!applies(variable.scope, target)) continue;
    const rival = best.get(variable.name);
    if (rival === undefined || overrides(variable, rival)) best.set(variable.name, variable);
  }
  return [...best.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function overrides(variable: Variable, rival: Variable): boolean {
  const difference = specificity(variable.scope) - specificity(rival.scope);
  if (difference !== 0) return difference > 0;
  if (variable.createdAt !== rival.createdAt) return variable.createdAt > rival.createdAt;
  return variable.id > rival.id;
}
