// Which of several values of a variable holds on a machine: the most specific one.
import type { Variable } from '../store/repositories/variables.ts';

/** Where a step runs. */
export interface Place {
  readonly environment: string;
  readonly machine: string;
  readonly targetRoles: readonly string[];
}

/** Empty lists mean everywhere. */
export type Scope = Pick<Variable, 'environments' | 'machines' | 'targetRoles'>;

/** Whether a scope takes in a place: each list that is not empty must. */
export function applies(scope: Scope, { environment, machine, targetRoles }: Place): boolean {
  return (
    (scope.environments.length === 0 || scope.environments.includes(environment)) &&
    (scope.machines.length === 0 || scope.machines.includes(machine)) &&
    (scope.targetRoles.length === 0 || scope.targetRoles.some((role) => targetRoles.includes(role)))
  );
}

/** A machine says more than roles, roles more than an environment; naming two says more than naming one. */
export function specificity(scope: Scope): number {
  return (
    (scope.machines.length > 0 ? 4 : 0) +
    (scope.targetRoles.length > 0 ? 2 : 0) +
    (scope.environments.length > 0 ? 1 : 0)
  );
}

/** One variable per name: the most specific that applies; of equals the newer, so that the order is never chance. */
export function variablesAt(variables: readonly Variable[], place: Place): Variable[] {
  const best = new Map<string, Variable>();
  for (const variable of variables) {
    if (!applies(variable, place)) continue;
    const rival = best.get(variable.name);
    if (rival === undefined || beats(variable, rival)) best.set(variable.name, variable);
  }
  return [...best.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function beats(variable: Variable, rival: Variable): boolean {
  const difference = specificity(variable) - specificity(rival);
  if (difference !== 0) return difference > 0;
  if (variable.createdAt !== rival.createdAt) return variable.createdAt > rival.createdAt;
  return variable.id > rival.id;
}
