// `npm run bench -- NAME [--quick]`: runs one bench and prints a table, then one line of JSON. A bench is a file beside
// this one; docs/performance.md explains the figures and the results.
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { Bench, Figure } from './support/report.ts';

const benches: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  agents: () => import('./agents.ts'),
  delta: () => import('./delta.ts'),
  dispatch: () => import('./dispatch.ts'),
  distribution: () => import('./distribution.ts'),
  serve: () => import('./serve.ts'),
  start: () => import('./start.ts'),
  tunnel: () => import('./tunnel.ts'),
};

const commit = (): string | null => {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
};

const shown = (figure: Figure): string => (figure === null ? 'not measured' : String(figure));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean' } }, allowPositionals: true });
  const name = positionals[0] ?? '';
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (load === undefined) {
    process.stderr.write(`usage: npm run bench -- NAME [--quick], NAME one of: ${Object.keys(benches).join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const { bench } = await load();
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const report = await bench({ quick: values.quick === true, say });
  for (const [kind, figures] of Object.entries({ figure: report.figures, rival: report.rivals })) {
    for (const [key, figure] of Object.entries(figures)) say(`${kind.padEnd(8)} ${key.padEnd(28)} ${shown(figure)}`);
  }
  for (const note of report.notes) say(`note     ${note}`);
  say(JSON.stringify({ bench: name, commit: commit(), node: process.version, ...report }));
}

await main();
