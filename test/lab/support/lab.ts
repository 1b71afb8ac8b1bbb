// Several hosts on one machine: a network namespace each, joined by LANs (bridges) and long lines (wan.ts), and by
// nothing else. No host forwards IP, so only a program that runs on a host can carry anything across it.
//   lab.ts    the driver: up, down, processes in hosts, cut and heal
//   wan.ts    one long line;  wan.c its shaper
//   probe.ts  what measures the lab itself
// Addresses come from 198.18.0.0/15, which is set aside for tests of networks (RFC 2544).
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Spawner } from '../../support/spawner.ts';
import { Line, type LineBytes, type LineShape } from './wan.ts';
import { run } from './run.ts';

export interface LabPlan {
  /** LAN name to the hosts on it. */
  readonly lans: Readonly<Record<string, readonly string[]>>;
  readonly lines: Readonly<Record<string, { readonly between: readonly [string, string]; readonly shape: LineShape }>>;
}

/** Loss-based congestion controls, in order of preference: a kernel may forbid cubic outside its first namespace. */
const congestionControls = ['cubic', 'reno'] as const;

const prefix = 'isthmus-lab-';

/** When a process started, in clock ticks since boot: with its process id this is unique. */
function startTime(pid: number): string | undefined {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return undefined;
  const stat = readFileSync(path, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function namespaces(): Promise<string[]> {
  const listed = await run('ip', ['netns', 'list']);
  return listed.split('\n').flatMap((row) => row.split(' ', 1).filter((name) => name.startsWith(prefix)));
}

/** Ends every process in a namespace. */
async function killAll(name: string): Promise<void> {
  const pids = await run('ip', ['netns', 'pids', name]).catch(() => '');
  for (const pid of pids.split('\n').filter((each) => each !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

async function removeNamespace(name: string): Promise<void> {
  await killAll(name);
  await run('ip', ['netns', 'del', name]).catch(() => '');
}

/** Whether the driver of a lab has died: its process id and start time are in every name of the lab. */
export function isOrphan(name: string): boolean {
  if (!name.startsWith(prefix)) return false;
  const [pid = '', started] = name.slice(prefix.length).split('-');
  return startTime(Number(pid)) !== started;
}

/** Removes what a driver left that died without `down`. */
async function removeOrphans(): Promise<void> {
  for (const name of (await namespaces()).filter(isOrphan)) await removeNamespace(name);
}

let labsMade = 0;

/** A running lab. `down` leaves no namespace, device or process. */
export class Lab {
  /** No other lab has it: it begins the name of every namespace. */
  readonly id: string;
  readonly #hosts = new Set<string>();
  readonly #segments: string[] = [];
  readonly #lines = new Map<string, Line>();
  readonly #addresses = new Map<string, string>();
  #congestion = '';

  private constructor(id: string) {
    this.id = id;
  }

  static async up(plan: LabPlan): Promise<Lab> {
    await removeOrphans();
    labsMade += 1;
    const lab = new Lab(`${prefix}${process.pid}-${startTime(process.pid) ?? '0'}-${labsMade}`);
    try {
      await lab.#build(plan);
      return lab;
    } catch (thrown) {
      await lab.down();
      throw thrown;
    }
  }

  async #build(plan: LabPlan): Promise<void> {
    const onLans = Object.values(plan.lans).flat();
    const onLines = Object.values(plan.lines).flatMap(({ between }) => between);
    for (const host of new Set([...onLans, ...onLines])) await this.#addHost(host);
    for (const [index, [lan, hosts]] of Object.entries(plan.lans).entries()) await this.#addLan(lan, index, hosts);
    for (const [index, [name, { between, shape }]] of Object.entries(plan.lines).entries()) {
      const [a, b] = between;
      const ends = [a, b].map((host, side) => {
        const address = `198.19.${index}.${side + 1}`;
        this.#addresses.set(`${host}/${name}`, address);
        return { namespace: this.#namespace(host), device: name, cidr: `${address}/30` };
      });
      this.#lines.set(name, await Line.up(ends as [(typeof ends)[0], (typeof ends)[0]], shape));
    }
  }

  #namespace(host: string): string {
    return `${this.id}-${host}`;
  }

  /** The network namespace of a host. */
  namespace(host: string): string {
    if (!this.#hosts.has(host)) throw new Error(`no host ${host}`);
    return this.#namespace(host);
  }

  async #addHost(host: string): Promise<void> {
    const namespace = this.#namespace(host);
    await run('ip', ['netns', 'add', namespace]);
    this.#hosts.add(host);
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    const sysctl = (setting: string): Promise<string> => this.run(host, 'sysctl', ['-qw', `net.ipv4.${setting}`]);
    await sysctl('ip_forward=0');
    for (const name of congestionControls) {
      const rejected = await sysctl(`tcp_congestion_control=${name}`).catch((failure: Error) => failure);
      this.#congestion = name;
      if (typeof rejected === 'string') return;
    }
    throw new Error(`none of ${congestionControls.join(', ')} can be set here`);
  }

  /** The TCP congestion control in force in every host. */
  get congestion(): string {
    return this.#congestion;
  }

  /** A bridge in a namespace of its own, so that no host of the LAN forwards for the others. */
  async #addLan(lan: string, index: number, hosts: readonly string[]): Promise<void> {
    const segment = this.#namespace(`lan.${lan}`);
    await run('ip', ['netns', 'add', segment]);
    this.#segments.push(segment);
    await run('ip', ['-n', segment, 'link', 'add', 'br0', 'type', 'bridge']);
    await run('ip', ['-n', segment, 'link', 'set', 'br0', 'up']);
    for (const [position, host] of hosts.entries()) {
      const [namespace, port, address] = [this.#namespace(host), `p${position}`, `198.18.${index}.${position + 1}`];
      const peer = ['peer', 'name', lan, 'netns', namespace];
      await run('ip', ['-n', segment, 'link', 'add', port, 'type', 'veth', ...peer]);
      await run('ip', ['-n', segment, 'link', 'set', port, 'master', 'br0', 'up']);
      await run('ip', ['-n', namespace, 'addr', 'add', `${address}/24`, 'dev', lan]);
      await run('ip', ['-n', namespace, 'link', 'set', lan, 'up']);
      this.#addresses.set(`${host}/${lan}`, address);
    }
  }

  /** The address of a host on a LAN or a line. */
  address(host: string, network: string): string {
    const address = this.#addresses.get(`${host}/${network}`);
    if (address === undefined) throw new Error(`${host} is not on ${network}`);
    return address;
  }

  /** Starts a process in a host; the pid is the process's own. */
  spawn(host: string, command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.namespace(host), command, ...args], options);
  }

  /** The command that starts processes in a host. */
  spawner(host: string): Spawner {
    return (command, args, options) => this.spawn(host, command, args, options);
  }

  /** Runs a command in a host to its end and gives its standard output. */
  async run(host: string, command: string, args: readonly string[]): Promise<string> {
    return run('ip', ['netns', 'exec', this.#namespace(host), command, ...args]);
  }

  /** Kills every process of a host at once, as a power cut does; its disk stays. */
  async powerCut(host: string): Promise<void> {
    await killAll(this.#namespace(host));
  }

  #line(name: string): Line {
    const line = this.#lines.get(name);
    if (line === undefined) throw new Error(`no line ${name}`);
    return line;
  }

  cut(line: string, direction?: 'forward' | 'backward' | 'both'): Promise<void> {
    return this.#line(line).cut(direction);
  }

  heal(line: string): Promise<void> {
    return this.#line(line).heal();
  }

  shape(line: string, shape: LineShape): Promise<void> {
    return this.#line(line).shape(shape);
  }

  /** What a line has carried since the lab came up. */
  bytes(line: string): Promise<LineBytes> {
    return this.#line(line).bytes();
  }

  async down(): Promise<void> {
    for (const host of this.#hosts) await removeNamespace(this.#namespace(host));
    this.#hosts.clear();
    await Promise.all([...this.#lines.values()].map((line) => line.down()));
    this.#lines.clear();
    for (const segment of this.#segments.splice(0)) await removeNamespace(segment);
  }
}

/** Removes every lab whose driver is gone; `up` does so too. */
export { removeOrphans };
export type { LineShape };
