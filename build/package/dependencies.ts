// What the product depends on, by the lock file, and the licences of all of it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An installed package that the product needs, not only its development. */
export interface Dependency {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>;
}

const LICENCE = /^(licen[cs]e|copying)([-.].*)?$/i;
const NOTICE = /^notice([-.].*)?$/i;
/** Of packages that come without one. */
const OWN_TEXTS = join(import.meta.dirname, 'licences');

/** The production dependencies of the checkout at `source`, all levels, sorted by folder. */
export function productionDependencies(source: string): Dependency[] {
  const lock = JSON.parse(readFileSync(join(source, 'package-lock.json'), 'utf8')) as Lock;
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && existsSync(join(source, path)))
    .map(([path, { version = '' }]) => ({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version,
      folder: join(source, path),
    }))
    .sort((a, b) => (a.folder < b.folder ? -1 : 1));
}

/** The text of a package's licence, with its notice. Throws when it comes without one, and there is none here. */
export function licenceOf({ name, version, folder }: Dependency): string {
  const files = readdirSync(folder).sort();
  const texts = [...files.filter((file) => LICENCE.test(file)), ...files.filter((file) => NOTICE.test(file))];
  if (texts.length > 0) return texts.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const own = join(OWN_TEXTS, `${name}.txt`);
  if (!existsSync(own)) throw new Error(`${name} ${version} comes without the text of its licence: put it into ${own}`);
  return readFileSync(own, 'utf8');
}
