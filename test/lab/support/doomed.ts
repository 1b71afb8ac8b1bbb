// A script that would run for very long, with a process in the background, for tests that end it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from '../../support/alive.ts';
import { waitFor } from '../../support/wait.ts';
import type { OpenLab } from './open.ts';
import type { MachineId } from './sites.ts';

export interface Doomed {
  readonly id: string;
  /** How many processes of its group are still alive. */
  alive(): number;
}

/** What a doomed script prints. */
export const doomedLines = { doomed: 3 };

/** Starts one; resolves once it runs. */
export async function startDoomed({ world, witness }: OpenLab, machine: MachineId): Promise<Doomed> {
  const file = join(world.dataDir(machine), 'doomed');
  const body = [`sleep 1000 & echo "$$ $!" > ${file}`, witness.script('doomed', doomedLines.doomed), 'wait'].join('\n');
  const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: [machine] });
  await waitFor(
    async () => (await world.api.stream(id)).filter(({ kind }) => kind === 'log').length === doomedLines.doomed,
    {
      limitMs: 30_000,
      what: 'the script that is to be ended',
    },
  );
  const pids = (await readFile(file, 'utf8')).trim().split(' ').map(Number);
  return { id, alive: () => pids.filter(isAlive).length };
}
