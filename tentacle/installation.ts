// An installation: what a package step of a project has on this machine in one environment.
import { IsthmusError } from '../contract/errors.ts';
import { isSlug } from '../lib/ids.ts';
import type { Installation__Output } from '../proto/gen/isthmus/tentacle/v1/Installation.ts';

export interface Installation {
  readonly project: string;
  readonly environment: string;
  readonly step: string;
}

/** Checks the names, which become folders. */
export function readInstallation(message: Installation__Output | null): Installation {
  const { project = '', environment = '', step = '' } = message ?? {};
  for (const [part, name] of Object.entries({ project, environment, step })) {
    if (isSlug(name)) continue;
    const field = `installation.${part}`;
    throw new IsthmusError('INVALID_FIELD', `"${name}" does not name the ${part} of an installation`, { field });
  }
  return { project, environment, step };
}

/** As messages and locks name it. */
export function installationName({ project, environment, step }: Installation): string {
  return `${project}/${environment}/${step}`;
}
