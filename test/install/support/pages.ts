// The fenced blocks of README and docs/ that tests run: their info string is `sh run MACHINE…`, one after the other, or
// `sh run checkout`.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

export interface Block {
  /** Of its first fence, from 1. */
  readonly line: number;
  readonly machines: readonly string[];
  readonly script: string;
}

export interface Page {
  /** From the root of the repository. */
  readonly file: string;
  readonly blocks: readonly Block[];
}

const fence = /^ *(?<fence>```+)(?<info>.*)$/;

/** Every fenced block of a page in Markdown, with its info string. Throws when one does not end. */
export function fencedBlocks(text: string): { line: number; info: string; body: string }[] {
  const found: { line: number; info: string; body: string }[] = [];
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const opened = fence.exec(lines[index] ?? '')?.groups;
    if (opened === undefined) continue;
    const indent = (lines[index] ?? '').indexOf('`');
    const end = lines.findIndex((line, at) => at > index && line.trim() === opened['fence']);
    if (end < 0) throw new Error(`the block of line ${index + 1} does not end`);
    const body = lines.slice(index + 1, end).map((line) => `${line.slice(indent)}\n`);
    found.push({ line: index + 1, info: (opened['info'] ?? '').trim(), body: body.join('') });
    index = end;
  }
  return found;
}

/** The blocks to run of a page. Throws at an info string that says `run` in another form. */
export function runBlocks(text: string): Block[] {
  return fencedBlocks(text).flatMap(({ line, info, body }) => {
    if (!/\brun\b/.test(info)) return [];
    const machines = /^sh run (?<machines>[a-z0-9-]+(?: [a-z0-9-]+)*)$/.exec(info)?.groups?.['machines'];
    if (machines === undefined) throw new Error(`line ${line}: "${info}" is not of the form "sh run MACHINE…"`);
    return [{ line, machines: machines.split(' '), script: body }];
  });
}

/** README, then the pages of docs/ by name, with their blocks to run. */
export async function readPages(): Promise<Page[]> {
  const docs = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).sort();
  return Promise.all(
    ['README.md', ...docs.map((name) => `docs/${name}`)].map(async (file) => ({
      file,
      blocks: runBlocks(await readFile(join(root, file), 'utf8')),
    })),
  );
}
