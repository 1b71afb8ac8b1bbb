// Bundles the code: the modules of a command lie in a few files, and what loads late has files of its own.
import { join, sep } from 'node:path';
import { rolldown, type Plugin } from 'rolldown';
import type { Dependency } from './dependencies.ts';

/** The modules that run as processes of their own. They keep their paths (lib/software.ts). */
const PROGRAMS = ['cli/main', 'lib/delta/worker-thread', 'tentacle/scripts/launch/launcher-process'];

/**
 * Bundles the programs of the checkout at `source` into `app`, from its own modules and those of `dependencies` only.
 *
 * The bundle is CommonJS: `import { request } from 'node:http'` of an ECMAScript module reads every export of node:http,
 * which loads a WebSocket client (30 ms, 12 MB); `require` loads what is used.
 */
export async function bundle(source: string, app: string, dependencies: readonly Dependency[]): Promise<void> {
  const build = await rolldown({
    cwd: source,
    input: Object.fromEntries(PROGRAMS.map((name) => [name, join(source, `${name}.ts`)])),
    platform: 'node',
    plugins: [withoutOthers(source, dependencies), IN_ASCII],
    onLog: (level, log) => {
      throw new Error(`${level}: ${log.message}`);
    },
  });
  await build.write({
    dir: app,
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    // Without new names: a stack trace names the functions.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    // It finds files beside itself, for every program.
    codeSplitting: { groups: [{ name: 'software', test: /[\\/]lib[\\/]software\.ts$/ }] },
  });
  await build.close();
}

/** V8 keeps the text of a file with one character beyond Latin-1 in twice the memory. */
const IN_ASCII: Plugin = {
  name: 'in-ascii',
  generateBundle: (_options, files) => {
    for (const file of Object.values(files)) if (file.type === 'chunk') file.code = inAscii(file.code);
  },
};

function inAscii(code: string): string {
  return code.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Leaves out packages that only happen to be there for development, as where the product is installed without them. */
function withoutOthers(source: string, dependencies: readonly Dependency[]): Plugin {
  const folders = dependencies.map(({ folder }) => folder + sep);
  const modules = join(source, 'node_modules') + sep;
  return {
    name: 'without-others',
    load(id) {
      if (!id.startsWith(modules) || folders.some((folder) => id.startsWith(folder))) return undefined;
      return "throw Object.assign(new Error('not installed'), { code: 'MODULE_NOT_FOUND' });";
    },
  };
}
