// The machines of a test, as README has them: a server, and a site behind a long line whose relay alone reaches both.
// No machine has a default route or a resolver; names are in /etc/hosts.
//
//   server ──wan-eu── eu ──lan-eu── mirror-eu, web-1, web-2
import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOrphan, Lab } from '../../lab/support/lab.ts';
import { Machine, removeCgroups } from './machine.ts';

export const machineNames = ['server', 'eu', 'mirror-eu', 'web-1', 'web-2'] as const;
export type MachineName = (typeof machineNames)[number];

const autopsyScript = `
journalctl --no-pager -n 40 -u 'isthmus-*' -o cat || :
ls -l /opt/isthmus || :
isthmus host show || :
ps -e --forest -o pid,etime,stat,wchan:20,args || :
`;

const shape = { delayMs: 10, rateMbit: 200 };

/** The names that README and the pages give to addresses. */
function hostsFile(lab: Lab): string {
  const rows = [
    ['127.0.0.1', 'localhost'],
    [lab.address('server', 'wan-eu'), 'isthmus.example'],
    [lab.address('eu', 'wan-eu'), 'relay.eu.example'],
    [lab.address('eu', 'lan-eu'), 'relay.eu.internal'],
  ];
  return rows.map((row) => `${row.join(' ')}\n`).join('');
}

/** Removes the disks and cgroups of estates whose driver has died; the namespaces are the lab's to remove. */
async function removeOrphans(): Promise<void> {
  const orphans = (await readdir(tmpdir())).filter(isOrphan);
  for (const name of orphans) {
    for (const machine of machineNames) await removeCgroups(`${name}-${machine}`);
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

export class Estate {
  readonly lab: Lab;
  readonly #folder: string;
  readonly #machines = new Map<MachineName, Machine>();

  private constructor(lab: Lab, folder: string) {
    this.lab = lab;
    this.#folder = folder;
  }

  /** Boots the machines, all at once. Throws a BootFailure where machines do not boot at all. */
  static async up(base: string, names: readonly MachineName[] = machineNames): Promise<Estate> {
    await removeOrphans();
    const lab = await Lab.up({
      lans: { 'lan-eu': ['eu', 'mirror-eu', 'web-1', 'web-2'] },
      lines: { 'wan-eu': { between: ['server', 'eu'], shape } },
    });
    const folder = join(tmpdir(), lab.id);
    const estate = new Estate(lab, folder);
    try {
      await mkdir(folder, { mode: 0o700 });
      await Promise.all(names.map((name) => estate.#boot(name, base)));
      return estate;
    } catch (thrown) {
      await estate.down();
      throw thrown;
    }
  }

  async #boot(name: MachineName, base: string): Promise<void> {
    const id = this.lab.namespace(name);
    const folder = join(this.#folder, name);
    await mkdir(folder);
    const options = { id, hostname: name, network: `/run/netns/${id}`, hosts: hostsFile(this.lab), base, folder };
    this.#machines.set(name, await Machine.boot(options));
  }

  machine(name: string): Machine {
    const machine = this.#machines.get(name as MachineName);
    if (machine === undefined) throw new Error(`no machine ${name} in this test`);
    return machine;
  }

  /** Carries the files of a folder to every machine, below /root. */
  async carry(from: string, to: string = '.'): Promise<void> {
    for (const machine of this.#machines.values()) {
      await machine.run(`mkdir -p ${to}`);
      for (const file of await readdir(from)) await machine.carry(join(from, file), join('/root', to, file));
    }
  }

  /** What there is to know of each machine after a test that failed. */
  async autopsy(): Promise<string> {
    const parts = [...this.#machines].map(async ([name, machine]) => {
      const { stdout } = await machine.attempt(autopsyScript);
      return `── ${name}\n${stdout}`;
    });
    return (await Promise.all(parts)).join('\n');
  }

  /** Leaves nothing. */
  async down(): Promise<void> {
    await Promise.all([...this.#machines.values()].map((machine) => machine.powerCut()));
    await this.lab.down();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
