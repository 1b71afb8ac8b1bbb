// Which program an interpreter's name stands for.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { installedInterpreters, interpreterCommand } from './interpreters.ts';

function pathWith(...programs: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const program of programs) writeFileSync(join(folder, program), '', { mode: 0o755 });
  return folder;
}

it('takes python3 for python, else python', () => {
  const both = pathWith('python', 'python3');
  const old = pathWith('python');
  expect(interpreterCommand('python', both)[0]).toBe(join(both, 'python3'));
  expect(interpreterCommand('python', old)[0]).toBe(join(old, 'python'));
});

it('finds those that are installed, and names one that is not', () => {
  const path = pathWith('sh', 'python3');
  expect(installedInterpreters(path)).toEqual([
    { name: 'sh', path: join(path, 'sh') },
    { name: 'python', path: join(path, 'python3') },
  ]);
  expect(() => interpreterCommand('bash', path)).toThrow('bash is not in the PATH of the tentacle');
  expect(() => interpreterCommand('perl', path)).toThrow('known: bash, sh, python');
});
