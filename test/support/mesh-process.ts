// Starts test/support/mesh-node.ts as a child process.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { MeshLimits } from '../../mesh/limits.ts';
import type { MeshConfig } from '../../mesh/types.ts';
import type { TestNode } from './identities.ts';
import { residentBytes } from './resident-memory.ts';

export interface MeshProcess {
  readonly address: string;
  readonly child: ChildProcess;
  rssBytes(): Promise<number>;
  /** `SIGKILL`, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Runs a node whose identity exists already; it is killed when the test ends. */
export async function startChildProcess(
  node: TestNode,
  config: Partial<MeshConfig>,
  limits: Partial<MeshLimits> = {},
): Promise<MeshProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'mesh-node.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  const order = { dataDir: node.dataDir, config: { listen: '127.0.0.1:0', parents: [], dials: [], ...config }, limits };
  child.stdin.write(`${JSON.stringify(order)}\n`);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { address } = JSON.parse(line) as { address: string };
  return {
    address,
    child,
    kill,
    rssBytes: () => residentBytes(child.pid),
  };
}
