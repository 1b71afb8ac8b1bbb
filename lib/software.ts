// Where this software lies. A checkout and an installation have the same paths below one folder, which is the repository
// or `app/`: .ts files there, bundled .js files here (build/package/bundle.ts).
import { findPackageJSON } from 'node:module';
import { dirname, extname, join } from 'node:path';

const ENDING = extname(import.meta.filename);
const ROOT = dirname(findPackageJSON(import.meta.url) ?? import.meta.dirname);

/** Whether this process runs the sources of a checkout. */
export const FROM_SOURCE = ENDING === '.ts';

/** The command, as users call it. */
export const EXECUTABLE = join(ROOT, FROM_SOURCE ? '.' : '..', 'bin/isthmus');

/** A file or folder that comes with the code, such as `proto`. */
export function softwarePath(name: string): string {
  return join(ROOT, name);
}

/** A module that is a process of its own, such as `cli/main`. */
export function programPath(name: string): string {
  return join(ROOT, `${name}${ENDING}`);
}
