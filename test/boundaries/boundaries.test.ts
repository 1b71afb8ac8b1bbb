// The import rules find what they are for: every rule has a planted violation under planted/, and each is found.
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const planted = join(import.meta.dirname, 'planted');
const config = join(root, '.dependency-cruiser.cjs');

interface Cruised {
  readonly modules: readonly unknown[];
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

async function cruise(cwd: string): Promise<Cruised> {
  const cli = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const run = promisify(execFile)(process.execPath, [cli, '--config', config, '--output-type', 'json', '.'], {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  });
  const { stdout } = await run.catch((failure: { stdout: string }) => failure);
  return JSON.parse(stdout) as Cruised;
}

/** The violation that a planted file states in its first line: `// Breaks: rule-name`. */
async function plantedViolations(): Promise<string[]> {
  const entries = await readdir(planted, { recursive: true, withFileTypes: true });
  const stated: string[] = [];
  for (const entry of entries.filter((each) => each.name.endsWith('.ts'))) {
    const path = join(entry.parentPath, entry.name);
    const rule = /^\/\/ Breaks: (\S+)/.exec(await readFile(path, 'utf8'))?.[1];
    if (rule !== undefined) stated.push(`${path.slice(planted.length + 1)} ${rule}`);
  }
  return stated.sort();
}

test('every planted violation is found, and nothing else', async () => {
  const { modules, summary } = await cruise(planted);
  expect(modules.length).toBeGreaterThan(10);
  const found = summary.violations.map(({ from, rule }) => `${from} ${rule.name}`);
  const unstated = 'lib/cycle-b.ts no-cycles';
  expect([...new Set(found)].filter((each) => each !== unstated).sort()).toEqual(await plantedViolations());
});

test('every rule has a planted violation and a reason', async () => {
  const { forbidden } = createRequire(import.meta.url)(config) as { forbidden: { name: string; comment: string }[] };
  const broken = new Set((await plantedViolations()).map((each) => each.split(' ')[1]));
  for (const { name, comment } of forbidden) {
    expect(broken, name).toContain(name);
    expect(comment.length, name).toBeGreaterThan(20);
  }
});
