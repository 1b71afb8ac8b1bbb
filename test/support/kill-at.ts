// Runs a process that is killed right before its Nth change of names or flush below a folder, as a power cut would.
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const cache = join(import.meta.dirname, '../../node_modules/.cache/tests/kill-at');
const preloaded = join(cache, 'kill-at.so');

/** Compiles what `runKilledAt` preloads. */
export function buildKillAt(): void {
  mkdirSync(cache, { recursive: true });
  const source = join(import.meta.dirname, '../host/support/kill-at.c');
  execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', preloaded, source, '-ldl']);
}

interface Killed {
  /** What counts as a step happens in here. */
  readonly below: string;
  /** 0 kills nothing. */
  readonly at: number;
}

/** Runs Node.js with these words; answers how many steps it took, undefined when it was killed. */
export function runKilledAt(words: readonly string[], { below, at }: Killed): Promise<number | undefined> {
  const count = `${below}.steps`;
  const env = { ...process.env, LD_PRELOAD: preloaded, KILL_BELOW: below, KILL_AT: String(at), KILL_COUNT: count };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, words, { env }, (error, _stdout, stderr) => {
      if (error?.signal === 'SIGKILL') resolve(undefined);
      else if (error !== null) reject(new Error(stderr));
      else resolve(Number(readFileSync(count, 'utf8')));
    });
  });
}
