// What the version before this one wrote and speaks still has its meaning here: its migrations, and every message,
// field and call of its wire.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import { beforeAll, describe, expect, it } from 'vitest';
import { previousVersion } from '../../build/previous-version.ts';
import { lacks } from '../support/needs.ts';

const here = join(import.meta.dirname, '../..');

/** Every file below a folder, as a path relative to it. */
async function filesBelow(folder: string, suffix: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true });
  return found.filter((path) => path.endsWith(suffix)).toSorted();
}

interface Field {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
  readonly oneofIndex?: number;
}

interface Described {
  readonly field?: readonly Field[];
  readonly value?: readonly { readonly name: string; readonly number: number }[];
}

/** One line for each field, enum value and call of a wire, with all that a peer of another version depends on. */
async function wireOf(tree: string): Promise<string[]> {
  const includeDir = join(tree, 'proto');
  const files = await filesBelow(includeDir, '.proto');
  const loaded = loadSync(files, { includeDirs: [includeDir] });
  return Object.entries(loaded).flatMap(([name, definition]) => {
    if ('type' in definition) {
      const { field = [], value = [] } = definition.type as Described;
      return [
        ...field.map((each) => `${name}.${each.number} ${each.name} ${each.label} ${each.type} ${each.typeName}`),
        ...value.map((each) => `${name}.${each.number} ${each.name}`),
      ];
    }
    return Object.values(definition).map(
      ({ path, requestStream, responseStream }) => `${path} ${requestStream} ${responseStream}`,
    );
  });
}

describe.skipIf(lacks('previousVersion'))('the version before this one', () => {
  let previous: string;

  beforeAll(async () => {
    previous = await previousVersion();
  });

  it('finds its migrations unchanged', async () => {
    const folder = 'server/store/migrations';
    const migrations = (await filesBelow(join(previous, folder), '.ts')).filter((name) => /^\d{4}-/.test(name));
    expect(migrations).toContain('0001-start.ts');
    for (const name of migrations) {
      const [then, now] = [previous, here].map((tree) => readFile(join(tree, folder, name), 'utf8'));
      expect(await now, name).toBe(await then);
    }
  });

  it('finds every field and call of its wire', async () => {
    const [then, now] = await Promise.all([wireOf(previous), wireOf(here)]);
    expect(then.length).toBeGreaterThan(200);
    expect(then.filter((line) => !now.includes(line))).toEqual([]);
  });
});
