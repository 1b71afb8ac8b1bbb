// The services of a host as if systemd ran them: a file says which run from which version, so that they outlive a process
// that is killed, as real ones do. Each behaves as a file of its version says.
import { appendFileSync, existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IsthmusError } from '../../../contract/errors.ts';
import type { NodeRole } from '../../../contract/nodes.ts';
import type { HostLayout } from '../../../host/layout.ts';
import type { HostServices } from '../../../host/versions/services.ts';
import type { Behaviour } from './software.ts';

interface FakeService {
  readonly version: string;
  readonly behaviour: Behaviour;
  /** The last migration that it knows. */
  readonly schema: string;
  readonly pid: number;
}

type States = Partial<Record<NodeRole, FakeService>>;

export class FakeServices implements HostServices {
  readonly #layout: HostLayout;
  readonly #file: string;
  readonly #calls: string;
  readonly #units: string;

  constructor(layout: HostLayout) {
    this.#layout = layout;
    this.#file = join(layout.root, 'services.json');
    this.#calls = join(layout.root, 'services.calls');
    this.#units = join(layout.root, 'services.units');
    mkdirSync(layout.root, { recursive: true });
    if (!existsSync(this.#file)) this.#write({});
  }

  /** What was asked of systemd so far. */
  get calls(): string[] {
    return existsSync(this.#calls) ? readFileSync(this.#calls, 'utf8').trimEnd().split('\n') : [];
  }

  /** The version that each service runs from. */
  get running(): Partial<Record<NodeRole, string>> {
    const states = Object.entries(this.#read()) as [NodeRole, FakeService][];
    return Object.fromEntries(states.map(([role, { version }]) => [role, version]));
  }

  /** The versions whose units systemd has read: of the services, and of the upgrader. */
  get units(): Partial<Record<'current' | 'knownGood', string>> {
    return existsSync(this.#units) ? (JSON.parse(readFileSync(this.#units, 'utf8')) as this['units']) : {};
  }

  /** Starts a service of the current version, as installing it would. */
  begin(...roles: NodeRole[]): void {
    for (const role of roles) this.#start(role);
  }

  active(): Promise<readonly NodeRole[]> {
    return Promise.resolve(Object.keys(this.#read()) as NodeRole[]);
  }

  async reload(): Promise<void> {
    const linked = (link: string) => (existsSync(link) ? readlinkSync(link) : undefined);
    const { current, knownGood } = this.#layout;
    writeFileSync(this.#units, JSON.stringify({ current: linked(current), knownGood: linked(knownGood) }));
  }

  async restart(role: NodeRole): Promise<void> {
    appendFileSync(this.#calls, `restart ${role}\n`);
    const { version, behaviour } = this.#current();
    if (this.units.current !== version) throw new Error(`systemd has the units of ${this.units.current}`);
    if (behaviour === 'rejected') {
      throw new IsthmusError('UPGRADE_START_FAILED', `Unit isthmus-${role}.service has a bad unit file setting.`);
    }
    this.#start(role);
  }

  async stop(role: NodeRole): Promise<void> {
    appendFileSync(this.#calls, `stop ${role}\n`);
  }

  async state(role: NodeRole): ReturnType<HostServices['state']> {
    const { version, behaviour, schema, pid } = this.#read()[role]!;
    const isTooOld = role === 'server' && (databaseOf(this.#layout) ?? '') > schema;
    const crashes = behaviour === 'crashes' || isTooOld ? 3 : 0;
    if (crashes > 0 || behaviour === 'never-starts') {
      return { pid: undefined, crashes, hasFailed: false, status: undefined };
    }
    const [since, startedAt] = [0, 0];
    const how = behaviour === 'well' ? { state: 'connected' as const } : NOT_CONNECTED;
    return { pid, crashes, hasFailed: false, status: { component: role, version, pid, startedAt, since, ...how } };
  }

  async lastError(): ReturnType<HostServices['lastError']> {
    return { code: 'CONFIG_INVALID', message: 'the setting is wrong' };
  }

  #start(role: NodeRole): void {
    const states = this.#read();
    if (role === 'server') migrate(this.#layout, this.#current().schema);
    this.#write({ ...states, [role]: { ...this.#current(), pid: (states[role]?.pid ?? 1000) + 1 } });
  }

  #current(): Omit<FakeService, 'pid'> {
    const read = (name: string): string => readFileSync(join(this.#layout.current, name), 'utf8');
    const { version, schema } = JSON.parse(read('version.json')) as { version: string; schema: string };
    return { version, schema, behaviour: read('behaviour') as Behaviour };
  }

  #read(): States {
    return JSON.parse(readFileSync(this.#file, 'utf8')) as States;
  }

  #write(states: States): void {
    writeFileSync(this.#file, JSON.stringify(states));
  }
}

const NOT_CONNECTED = { state: 'disconnected', code: 'UNREACHABLE', detail: 'no parent answers' } as const;

const DATABASE = 'isthmus.db';

/** Gives the server of a host a database that has this migration. */
export function makeDatabase(layout: HostLayout, migration: string): void {
  mkdirSync(layout.dataDir('server'), { recursive: true });
  writeFileSync(join(layout.dataDir('server'), DATABASE), migration);
}

/** The last migration of that database; undefined where there is none. */
function databaseOf(layout: HostLayout): string | undefined {
  const path = join(layout.dataDir('server'), DATABASE);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** As the server does when it starts (server/store/sqlite/copy.ts): the one copy from before stays. */
function migrate(layout: HostLayout, migration: string): void {
  const before = databaseOf(layout);
  if (before === undefined || before >= migration) return;
  const at = (name: string): string => join(layout.dataDir('server'), DATABASE + name);
  writeFileSync(at('.before-.partial'), before);
  renameSync(at('.before-.partial'), at(`.before-${migration}`));
  writeFileSync(at(''), migration);
  writeFileSync(at('-wal'), `log of ${migration}`);
}
