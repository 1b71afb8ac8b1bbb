// Keeps the compiled code of a run for the next one: to read and compile the sources is half of the processor time that
// a command takes to begin.
import { mkdirSync, statSync } from 'node:fs';
import { enableCompileCache, findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Has Node keep compiled code beside the packages, for whatever is imported from now on (Node.js, module compile
 * cache). What lies there is run: so only the owner of the installation keeps any, in a folder that nobody else gets
 * into.
 */
export function keepCompiledCode(): void {
  const installed = findPackageJSON(import.meta.url);
  const me = process.getuid?.();
  if (installed === undefined || statSync(installed).uid !== me) return;
  const folder = join(dirname(installed), 'node_modules/.cache/isthmus');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { mode, uid } = statSync(folder);
    if (uid === me && (mode & 0o077) === 0) enableCompileCache(folder);
  } catch {
    // An installation that cannot be written goes without.
  }
}
