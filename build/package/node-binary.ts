// Node.js for the machines that Isthmus is installed on: npm's packages of it, pinned by digest and kept in the cache.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { extract } from 'tar';
import manifest from '../../package.json' with { type: 'json' };
import { BuildError, FAILED } from './build-error.ts';
import { runProgram } from './programs.ts';

export type Architecture = 'x64' | 'arm64';
export const ARCHITECTURES: readonly Architecture[] = ['x64', 'arm64'];

/** The same as the tests run under. */
export const NODE_VERSION = manifest.devDependencies.node;

/** Of npm's packages `node-linux-…` of that version, as `npm view … dist.integrity` prints it. */
const INTEGRITY: Readonly<Record<Architecture, string>> = {
  x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};

/** The folder with `bin/node` and its `LICENSE` for an architecture, fetched into `cache` when it is not there yet. */
export async function nodeFor(architecture: Architecture, cache: string, signal?: AbortSignal): Promise<string> {
  const name = `node-linux-${architecture}-${NODE_VERSION}`;
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  try {
    const spec = `node-linux-${architecture}@${NODE_VERSION}`;
    const remedy = `Node.js for ${architecture} is fetched once, from npm's registry: see that npm reaches it`;
    await runProgram('npm', ['pack', '--loglevel=error', '--pack-destination', partial, spec], { signal, remedy });
    const archive = join(partial, `${name}.tgz`);
    const found = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`;
    if (found !== INTEGRITY[architecture]) {
      throw new BuildError(
        `${spec} from npm's registry has ${found}, not the pinned one; ask where that comes from`,
        FAILED,
      );
    }
    await extract({ file: archive, cwd: partial, strip: 1 }, ['package/bin/node', 'package/LICENSE']);
    await rm(archive);
    await rename(partial, folder).catch((thrown: unknown) => {
      // Another build was faster.
      if (!existsSync(folder)) throw thrown;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}
