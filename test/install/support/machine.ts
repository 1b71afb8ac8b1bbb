// A machine of a test: a bare Debian root, booted with its own systemd in a host of the lab. Its disk outlives its
// power, and nothing of it outlives the test's process.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lab/support/run.ts';
import { waitFor } from '../../support/wait.ts';

const bootScript = join(import.meta.dirname, 'boot.sh');
const bootLimitMs = 60_000;

/** Where systemd keeps its cgroups: beside the controllers of version 1, or the only hierarchy of version 2. */
const hierarchies = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];

/** Timers that would look for updates in a network that is not there. */
const idleTimers = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'e2scrub_all.timer', 'fstrim.timer'];

/** What a login of root has. */
const loginEnv = ['HOME=/root', 'LANG=C.UTF-8', 'TERM=dumb', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'];

export interface MachineOptions {
  /** Unique on this machine: names its cgroups. */
  readonly id: string;
  readonly hostname: string;
  /** The file of its network namespace. */
  readonly network: string;
  /** The text of /etc/hosts. */
  readonly hosts: string;
  /** The root that it has in common with other machines. */
  readonly base: string;
  /** Its disk and console go here; the caller removes it. */
  readonly folder: string;
}

/** How a script ended, with what it printed. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** It did not boot: not a fault of the product, but of where the test runs. */
export class BootFailure extends Error {
  override readonly name = 'BootFailure';
}

/** The process ids of a process's children. */
async function childrenOf(pid: number): Promise<number[]> {
  const listed = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return listed.split(' ').flatMap((word) => (word === '' ? [] : [Number(word)]));
}

/** Removes the empty cgroups that machines with such ids leave. */
export async function removeCgroups(id: string): Promise<void> {
  for (const folder of hierarchies.map((each) => join(each, id)).filter((each) => existsSync(each))) {
    // The kernel takes processes out of a cgroup a moment after they ended.
    await waitFor(() => run('find', [folder, '-depth', '-type', 'd', '-delete']).then(() => true), {
      limitMs: 10_000,
      what: `the end of the processes in ${folder}`,
    });
  }
}

export class Machine {
  readonly #options: MachineOptions;
  #container: ChildProcess | undefined;
  #init = 0;

  private constructor(options: MachineOptions) {
    this.#options = options;
  }

  /** Makes its disk and boots it. */
  static async boot(options: MachineOptions): Promise<Machine> {
    const units = join(options.folder, 'disk/etc/systemd/system');
    await mkdir(units, { recursive: true });
    await chmod(join(options.folder, 'disk'), 0o755);
    const etc = join(options.folder, 'disk/etc');
    await writeFile(join(etc, 'hostname'), `${options.hostname}\n`);
    await writeFile(join(etc, 'hosts'), options.hosts);
    await writeFile(join(etc, 'resolv.conf'), '');
    for (const timer of idleTimers) await symlink('/dev/null', join(units, timer));
    const machine = new Machine(options);
    await machine.boot();
    return machine;
  }

  get hostname(): string {
    return this.#options.hostname;
  }

  /** The id of its systemd's process as the test's machine numbers it; 0 without power. */
  get init(): number {
    return this.#init;
  }

  /** Boots it from the disk that it has; resolves once every unit of the boot has started. Throws a BootFailure. */
  async boot(): Promise<void> {
    const { id, network, base, folder } = this.#options;
    const cgroups = hierarchies.filter((each) => existsSync(join(each, 'cgroup.procs')));
    const console = await open(join(folder, 'console.log'), 'a');
    // Whatever ends this process ends the namespace, and with it every process and mount of the machine.
    const container = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
        ...['sh', bootScript, id, network, base, folder, ...cgroups.map((each) => join(each, id))],
      ],
      { stdio: ['ignore', console.fd, console.fd] },
    );
    await console.close();
    this.#container = container;
    try {
      await waitFor(() => this.#hasBooted(container), { limitMs: bootLimitMs, everyMs: 50, what: 'the boot' });
    } catch (thrown) {
      await this.powerCut();
      const seen = (await readFile(join(folder, 'console.log'), 'utf8')).split('\n').slice(-30).join('\n');
      throw new BootFailure(`${this.hostname} does not boot: ${seen}`, { cause: thrown });
    }
  }

  async #hasBooted(container: ChildProcess): Promise<boolean> {
    const [nspawn = 0] = await childrenOf(container.pid ?? 0);
    for (const child of await childrenOf(nspawn)) {
      if ((await readFile(`/proc/${child}/comm`, 'utf8')).trim() === 'systemd') this.#init = child;
    }
    if (this.#init === 0) return false;
    const { stdout } = await this.attempt('systemctl is-system-running');
    return ['running', 'degraded'].includes(stdout.trim());
  }

  /** Runs a script as root, as at a login: `sh -e` in /root, with nothing on its standard input. */
  attempt(script: string): Promise<Outcome> {
    return this.#enter([...loginEnv, 'sh', '-e', '-c', `cd /root\n${script}`]);
  }

  /** As `attempt`, at a terminal: both outputs are one, and commands do what they do for a user who watches. */
  async typed(script: string): Promise<Omit<Outcome, 'stderr'>> {
    const shell = ['script', '--quiet', '--return', '--command', 'exec sh -e -c "$TYPED"', '/dev/null'];
    const { exitCode, stdout } = await this.#enter([...loginEnv, `TYPED=cd /root\n${script}`, ...shell]);
    return { exitCode, stdout: stdout.replaceAll('\r\n', '\n') };
  }

  #enter(words: readonly string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const entered = ['-t', `${this.#init}`, '-a', 'env', '-i', ...words];
      const child = execFile('nsenter', entered, { maxBuffer: 64 * 1024 * 1024 }, (failure, stdout, stderr) => {
        // Without a number it did not start, or its machine lost its power.
        const exitCode = failure === null ? 0 : typeof failure.code === 'number' ? failure.code : -1;
        resolve({ exitCode, stdout, stderr });
      });
      child.stdin?.end();
    });
  }

  /** Runs a script that must succeed, and gives its standard output. */
  async run(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.attempt(script);
    if (exitCode === 0) return stdout;
    throw new Error(`on ${this.hostname}, exit code ${exitCode}:\n${script}\n${stdout}${stderr}`);
  }

  /** Carries a file in, as on a stick. */
  async carry(file: string, to: string): Promise<void> {
    await copyFile(file, `/proc/${this.#init}/root${to}`);
  }

  /** Ends every process at once, as a power cut does; the disk stays. */
  async powerCut(): Promise<void> {
    const container = this.#container;
    this.#container = undefined;
    this.#init = 0;
    if (container?.pid === undefined) return;
    const exited = container.exitCode === null && container.signalCode === null ? once(container, 'exit') : undefined;
    // The first process of a namespace is gone only after all others are; then `unshare` ends too.
    for (const first of await childrenOf(container.pid)) process.kill(first, 'SIGKILL');
    await exited;
    await removeCgroups(this.#options.id);
  }
}
