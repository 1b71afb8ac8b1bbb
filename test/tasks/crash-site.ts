// One machine with a fake tentacle, and server processes that tests kill.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { FakeTentacle } from '../support/fake-tentacle.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import type { CrashPlan } from './crash-server.ts';
import { addMachine } from './harness.ts';

const program = fileURLToPath(new URL('crash-server.ts', import.meta.url));
export interface CrashSite {
  readonly dataDir: string;
  readonly fake: FakeTentacle;
  /** Starts a server process; returns it with the id of the task that it accepted, if any. */
  server(plan: Omit<CrashPlan, 'ports'>): Promise<{ task: string; idle(): Promise<unknown>; kill(): Promise<void> }>;
  /** Opens the store between two servers. */
  inspect<Result>(look: (store: Store) => Promise<Result>): Promise<Result>;
}

/** A data folder with machine web-1. */
export async function crashSite(): Promise<CrashSite> {
  const dataDir = await tempDir();
  const fake = await new FakeTentacle('web-1').listen();
  onTestFinished(() => fake.stop());
  const inspect = async <Result>(look: (store: Store) => Promise<Result>) => {
    const store = await openStore({ dataDir, log: silentLogger() });
    return look(store).finally(() => store.close());
  };
  await inspect((store) =>
    addMachine(store, 'web-1', { roles: [], routes: [{ kind: 'direct' }], environments: ['prod'] }),
  );
  return {
    dataDir,
    fake,
    inspect,
    async server(plan) {
      const full: CrashPlan = { ...plan, ports: { 'web-1': fake.port } };
      const child = spawn(process.execPath, [program, dataDir, JSON.stringify(full)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const said: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
      const kill = () => killed(child);
      onTestFinished(kill);
      const idle = () => waitFor(() => said.includes('idle'), { limitMs: 30_000, what: 'the end of every task' });
      const task =
        plan.submit === undefined && plan.deploy === undefined ? '' : await waitFor(() => said[0], { limitMs: 20_000 });
      return { task, idle, kill };
    },
  };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
