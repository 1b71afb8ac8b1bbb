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
export function edited(text: string, { file, find, replace }: Edit): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${file}: expected exactly once, found ${text.split(find).length - 1} times: ${find}`);
  }
  return before + replace + after;
}

/** Changes the files of a tree; answers what restores them. Throws, and changes nothing, when an edit does not fit. */
export async function mutate(tree: string, mutant: Mutant): Promise<() => Promise<void>> {
  const originals = new Map<string, string>();
  const texts = new Map<string, string>();
  for (const edit of editsOf(mutant)) {
    const path = join(tree, edit.file);
    const text = texts.get(path) ?? (await readFile(path, 'utf8'));
    if (!originals.has(path)) originals.set(path, text);
    texts.set(path, edited(text, edit));
  }
  await writeAll(texts);
  return () => writeAll(originals);
}

async function writeAll(texts: ReadonlyMap<string, string>): Promise<void> {
  await Promise.all([...texts].map(([path, text]) => writeFile(path, text)));
}
