// A project to deploy in the lab: a package that cannot be compressed, and a process with every stage of a deployment.
// Its scripts write to the log and to the witness file that they ran, and which bytes they found.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TaskAnswer } from '../../support/api.ts';
import type { World } from '../../support/world.ts';
import { run } from './run.ts';
import { environment, targetRole } from './topology.ts';
import type { Printed, Witness } from './witness.ts';

const id = 'lab';
const packageId = 'lab-body';
const lineEveryMs = 20;

/** The scripts of one deployment, in the order in which they run. */
export const deployed = { pre: 10, post: 20, after: 10 } as const satisfies Printed;
/** The folder below a tentacle's data folder in which it keeps the releases. */
export const releasesFolder = join('applications', id, environment, 'body');

/** One release with a package of its own. */
export interface LabRelease {
  readonly version: string;
  /** SHA-256 of the file inside the package, as the target prints it. */
  readonly bodySha256: string;
  readonly packageBytes: number;
  /** SHA-256 of the package: its name wherever it is stored. */
  readonly sha256: string;
}

export interface LabProject {
  /** Creates a release of a package with a body (random bytes if only their number is given) and small files. */
  release(body: number | Buffer, smallFiles?: number): Promise<LabRelease>;
  /** Deploys to every machine of the lab; returns the task's id. */
  deploy(release: LabRelease, deadlineS?: number): Promise<string>;
  /**
   * Asserts that the deployment succeeded everywhere, each script ran once, the log is whole, and every target saw the
   * pinned bytes.
   */
  arrived(task: TaskAnswer, release: LabRelease): Promise<void>;
}

/** Creates the project. */
export async function makeProject(world: World, folder: string, witness: Witness): Promise<LabProject> {
  const { api } = world;
  await api.post('projects', { id, name: id });
  const script = (name: keyof typeof deployed): string => witness.script(name, deployed[name], lineEveryMs);
  const bash = (body: string): object => ({ interpreter: 'bash', body });
  const targetRoles = [targetRole];
  const steps = [
    {
      ...{ name: 'body', kind: 'package', targetRoles, package: { id: packageId } },
      preDeploy: bash(script('pre')),
      postDeploy: bash(`sha256sum body.bin\n${script('post')}`),
    },
    { name: 'after', kind: 'script', targetRoles, script: bash(script('after')) },
  ];
  await api.put(`projects/${id}/process`, { steps }, `projects/${id}`);
  let made = 0;
  return {
    async release(content, smallFiles = 0) {
      made += 1;
      const version = `1.0.${made}`;
      const body = typeof content === 'number' ? randomBytes(content) : content;
      const packed = await pack(join(folder, 'pack'), body, smallFiles);
      const headers = { 'content-type': 'application/octet-stream' };
      await api.request('POST', `packages?id=${packageId}&version=${version}&format=tar.gz`, packed, headers);
      await api.post(`projects/${id}/releases`, { version });
      return { version, bodySha256: digest(body), packageBytes: packed.length, sha256: digest(packed) };
    },
    async deploy({ version }, deadlineS = 180) {
      return (await api.post<{ id: string }>('deployments', { project: id, release: version, environment, deadlineS }))
        .id;
    },
    async arrived(task, { bodySha256 }) {
      expect(task.state, JSON.stringify(task)).toBe('succeeded');
      await witness.agrees(api, task, deployed);
      const said = (await api.stream(task.id)).filter(({ text }) => text === `${bodySha256}  body.bin`);
      expect(said.map(({ machine }) => machine).sort()).toEqual(task.machines.map(({ machine }) => machine).sort());
    },
  };
}

async function pack(folder: string, body: Buffer, smallFiles: number): Promise<Buffer> {
  await mkdir(join(folder, 'small'), { recursive: true });
  await writeFile(join(folder, 'body.bin'), body);
  for (let file = 0; file < smallFiles; file += 1) await writeFile(join(folder, 'small', `${file}`), `${file}\n`);
  const packed = `${folder}.tar.gz`;
  await run('tar', ['-C', folder, '-czf', packed, '.']);
  await rm(folder, { recursive: true });
  return readFile(packed);
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
