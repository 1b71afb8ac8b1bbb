// A mutant: a change to the source that breaks one guarantee, and the test that must then be red.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Replaces a text that occurs exactly once in its file. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Edit {
  /** Where one edit does not break the guarantee. */
  readonly also?: readonly Edit[];
  /** The test file, and the names of the suites and of the test in it. */
  readonly red: { readonly file: string; readonly test: readonly string[] };
}

/** Mutants by name. */
export type Mutants = Readonly<Record<string, Mutant>>;

/** All edits of a mutant. */
export function editsOf(mutant: Mutant): readonly Edit[] {
  return [mutant, ...(mutant.also ?? [])];
}

/** The text with the edit made; throws unless `find` occurs in it exactly once. */
function edited(text: string, { file, find, replace }: Edit): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${file}: expected exactly once, found ${text.split(find).length - 1} times: ${find}`);
  }
  return before + replace + after;
}

/** A file that a mutant changes. */
export interface Change {
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

/** What a mutant changes in a tree; throws when an edit does not fit. */
export async function changesOf(tree: string, mutant: Mutant): Promise<Change[]> {
  const changes = new Map<string, Change>();
  for (const edit of editsOf(mutant)) {
    const path = join(tree, edit.file);
    const before = changes.get(path)?.before ?? (await readFile(path, 'utf8'));
    changes.set(path, { path, before, after: edited(changes.get(path)?.after ?? before, edit) });
  }
  return [...changes.values()];
}

/** Changes the files of a tree; answers what restores them. Throws, and changes nothing, when an edit does not fit. */
export async function mutate(tree: string, mutant: Mutant): Promise<() => Promise<void>> {
  const changes = await changesOf(tree, mutant);
  await Promise.all(changes.map(({ path, after }) => writeFile(path, after)));
  return async () => {
    await Promise.all(changes.map(({ path, before }) => writeFile(path, before)));
  };
}
