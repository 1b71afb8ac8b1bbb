// What the distribution bench is measured against, in the same network and with the same archive: curl, nginx as a
// cache, rsync and Ansible. Each rival checks the digest and unpacks the archive on every machine.
import { spawnSync, type ChildProcess } from 'node:child_process';
import { once as onceEvent } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../test/lab/support/run.ts';
import { waitFor } from '../../test/support/wait.ts';
import type { Archive, DistributionLab } from './distribution-lab.ts';

const ORIGIN_PORT = 8080;
const CACHE_PORT = 8081;
const SSH_PORT = 2222;

/** Which of these commands are missing, and how they are installed; undefined when none is. */
export function missing(packages: Readonly<Record<string, string>>): string | undefined {
  const lacking = Object.entries(packages).filter(
    ([command]) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0,
  );
  if (lacking.length === 0) return undefined;
  return `apt-get install ${[...new Set(lacking.map(([, name]) => name))].join(' ')}`;
}

const UNPACK = 'sha256sum --check --quiet sum && tar -xzf package';

/** The rivals' processes and folders. `stop` ends the processes. */
export class Rivals {
  readonly #at: DistributionLab;
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];

  private constructor(at: DistributionLab) {
    this.#at = at;
    this.#folder = join(at.folder, 'rivals');
  }

  /** Starts the origin of curl and of the cache: a plain file server on the server's host. */
  static async start(at: DistributionLab): Promise<Rivals> {
    const rivals = new Rivals(at);
    await mkdir(rivals.#folder, { recursive: true, mode: 0o755 });
    const script = join(import.meta.dirname, '../children/file-server.ts');
    const host = at.lab.address('hub', 'wan');
    await rivals.#daemon('hub', process.execPath, [script, host, `${ORIGIN_PORT}`, join(at.folder, 'origin')], {
      host,
      port: ORIGIN_PORT,
    });
    return rivals;
  }

  async stop(): Promise<void> {
    for (const child of this.#children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = onceEvent(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
  }

  /** Seconds that one curl needs over the long line, into a file. */
  async curl({ name }: Archive): Promise<number> {
    const file = join(this.#folder, 'curl');
    const took = await secondsOf(() => this.#at.lab.run('edge', 'curl', ['-sSfo', file, this.#originUrl(name)]));
    await rm(file);
    return took;
  }

  /** A cache at the edge that fetches a file once, however many ask. */
  async startCache(): Promise<void> {
    const config = join(this.#folder, 'nginx.conf');
    const host = this.#edge;
    await writeFile(config, nginxConfig(this.#folder, `${host}:${CACHE_PORT}`, this.#originUrl('')));
    await this.#daemon('edge', 'nginx', ['-c', config, '-e', 'stderr', '-g', 'daemon off;'], {
      host,
      port: CACHE_PORT,
    });
  }

  /** Seconds until each machine has fetched the archive from the cache, checked and unpacked it. */
  async nginx(archive: Archive, machines: number): Promise<number> {
    const url = `http://${this.#edge}:${CACHE_PORT}/${archive.name}`;
    return this.#onEach(archive, machines, (machine, folder) => {
      const fetch = `cd ${folder} && curl -sSfo package ${url} && ${UNPACK}`;
      return this.#at.lab.run(machine, 'sh', ['-c', fetch]);
    });
  }

  /** An SSH server on the host of the relay and on the first four machines. */
  async startSsh(): Promise<void> {
    const key = join(this.#folder, 'key');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    // sshd leaves its privileges there.
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const config = join(this.#folder, 'sshd_config');
    const settings = [`HostKey ${key}`, `AuthorizedKeysFile ${key}.pub`, 'StrictModes no', 'UsePAM no', 'PidFile none'];
    await writeFile(config, [...settings, 'PermitRootLogin yes', 'MaxStartups 100', ''].join('\n'));
    for (const machine of ['edge', ...this.#four]) {
      const host = this.#at.lab.address(machine, 'lan-edge');
      const where = ['-o', `ListenAddress=0.0.0.0:${SSH_PORT}`];
      await this.#daemon(machine, '/usr/sbin/sshd', ['-D', '-q', '-f', config, ...where], { host, port: SSH_PORT });
    }
    const client = ['User root', `Port ${SSH_PORT}`, `IdentityFile ${key}`, 'UserKnownHostsFile /dev/null'];
    const hosts = this.#four.map((machine) => {
      return `Host ${machine}\n HostName ${this.#at.lab.address(machine, 'lan-edge')}\n ProxyJump edge\n`;
    });
    const edge = `Host edge\n HostName ${this.#at.lab.address('edge', 'wan')}\n`;
    const all = ['Host *', ...client, 'StrictHostKeyChecking no', 'LogLevel ERROR'].join('\n ');
    await writeFile(this.#sshConfig, [edge, ...hosts, all, ''].join('\n'), { mode: 0o600 });
  }

  /** rsync from the server's host to each machine, through the host of the relay. */
  async rsyncThroughJump(archive: Archive): Promise<number> {
    return this.#onEach(archive, 4, async (machine, folder) => {
      await this.#ssh('rsync', ['-e', this.#sshCommand, archive.path, `${machine}:${folder}/package`]);
      await this.#ssh('ssh', ['-F', this.#sshConfig, machine, `cd ${folder} && ${UNPACK}`]);
    });
  }

  /** By hand: rsync to the host of the relay, and from there to each machine. */
  async rsyncStaged(archive: Archive): Promise<number> {
    const staged = join(this.#folder, 'staged');
    const there = ['-F', this.#sshConfig, '-J', 'none'];
    const onEdge = once(() => this.#ssh('rsync', ['-e', this.#sshCommand, archive.path, `edge:${staged}`]));
    const took = await this.#onEach(archive, 4, async (machine, folder) => {
      await onEdge();
      await this.#at.lab.run('edge', 'rsync', ['-e', `ssh ${there.join(' ')}`, staged, `${machine}:${folder}/package`]);
      await this.#at.lab.run('edge', 'ssh', [...there, machine, `cd ${folder} && ${UNPACK}`]);
    });
    await rm(staged);
    return took;
  }

  /** Ansible's unarchive, which copies the archive to each machine and unpacks it there. */
  async ansible(archive: Archive): Promise<number> {
    const inventory = join(this.#folder, 'hosts');
    await writeFile(inventory, `${this.#four.join('\n')}\n`);
    const settings = [
      `ANSIBLE_SSH_ARGS=-F ${this.#sshConfig} -o ControlMaster=auto -o ControlPersist=60s`,
      `ANSIBLE_HOME=${join(this.#folder, 'ansible')}`,
      `ANSIBLE_REMOTE_TEMP=${join(this.#folder, 'ansible-remote')}`,
      'ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3',
    ];
    const dest = join(this.#machines, '{{ inventory_hostname }}');
    const words = ['-i', inventory, '-f', '4', '-m', 'unarchive', '-a', `src=${archive.path} dest=${dest}`, 'all'];
    const playbook = once(() => this.#at.lab.run('hub', 'env', [...settings, 'ansible', ...words]));
    return this.#onEach(archive, 4, playbook);
  }

  get #four(): readonly string[] {
    return this.#at.edgeMachines.slice(0, 4);
  }

  get #edge(): string {
    return this.#at.lab.address('edge', 'lan-edge');
  }

  get #machines(): string {
    return join(this.#folder, 'machines');
  }

  get #sshConfig(): string {
    return join(this.#folder, 'ssh_config');
  }

  get #sshCommand(): string {
    return `ssh -F ${this.#sshConfig}`;
  }

  #originUrl(name: string): string {
    return `http://${this.#at.lab.address('hub', 'wan')}:${ORIGIN_PORT}/${name}`;
  }

  #ssh(command: string, words: readonly string[]): Promise<string> {
    return this.#at.lab.run('hub', command, words);
  }

  /** Seconds until the work of every machine has ended; each has a folder with the archive's digest. */
  async #onEach(
    { sha256 }: Archive,
    machines: number,
    work: (machine: string, folder: string) => Promise<unknown>,
  ): Promise<number> {
    const all = this.#at.edgeMachines.slice(0, machines);
    const folderOf = (machine: string): string => join(this.#machines, machine);
    for (const machine of all) {
      await mkdir(folderOf(machine), { recursive: true, mode: 0o755 });
      await writeFile(join(folderOf(machine), 'sum'), `${sha256}  package\n`);
    }
    const took = await secondsOf(() => Promise.all(all.map((machine) => work(machine, folderOf(machine)))));
    await rm(this.#machines, { recursive: true });
    return took;
  }

  async #daemon(
    on: string,
    command: string,
    words: readonly string[],
    { host, port }: { readonly host: string; readonly port: number },
  ): Promise<void> {
    this.#children.push(this.#at.lab.spawn(on, command, words, { stdio: ['ignore', 'ignore', 'inherit'] }));
    const probe = () =>
      this.#at.lab.run(on, 'bash', ['-c', `exec 3<>/dev/tcp/${host}/${port}`]).then(
        () => true,
        () => false,
      );
    await waitFor(probe, { limitMs: 10_000, everyMs: 50, what: `${command} on ${on}` });
  }
}

/** The work, done once for all who ask. */
function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let done: Promise<Result> | undefined;
  return () => (done ??= work());
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function nginxConfig(folder: string, listen: string, origin: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => {
    return `${name}_temp_path ${folder}/nginx-${name};`;
  });
  return `user root;
worker_processes auto;
pid ${folder}/nginx.pid;
events { worker_connections 512; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  ${temporary.join('\n  ')}
  proxy_cache_path ${folder}/nginx-cache keys_zone=packages:10m max_size=16g use_temp_path=off;
  server {
    listen ${listen};
    location / {
      proxy_pass ${origin};
      proxy_cache packages;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 120s;
      proxy_cache_lock_age 120s;
    }
  }
}
`;
}
