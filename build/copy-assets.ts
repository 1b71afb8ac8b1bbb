// Copies the files that the compiler does not: the .proto files that are loaded at run time, and the examples that the
// quickstart deploys. usage: node build/copy-assets.ts [FOLDER], dist by default
import { cp } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = process.argv[2] ?? join(root, 'dist');

await cp(join(root, 'proto'), join(dist, 'proto'), {
  recursive: true,
  filter: (source) => !source.includes(join('proto', 'gen')) && ['', '.proto'].includes(extname(source)),
});
await cp(join(root, 'package.json'), join(dist, 'package.json'));
for (const folder of ['examples']) {
  if (existsSync(join(root, folder))) await cp(join(root, folder), join(dist, folder), { recursive: true });
}
