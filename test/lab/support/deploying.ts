// Something to deploy in the lab: a package that cannot be compressed, and a project whose post-deploy script says which
// bytes it found, on the log and in the witness file.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { World } from '../../support/world.ts';
import { run } from './run.ts';
import { environment, targetRole } from './sites.ts';
import type { Witness } from './witness.ts';

const project = 'lab';
const packageId = 'lab-body';

/** One release with a package of its own. */
export interface LabRelease {
  readonly version: string;
  /** SHA-256 of the file inside the package, as the target prints it. */
  readonly bodySha256: string;
  readonly packageBytes: number;
}

/** Makes the project; releases come from the function it answers with. */
export async function makeProject(
  world: World,
  folder: string,
  witness: Witness,
  lines: number,
): Promise<(bodyBytes: number) => Promise<LabRelease>> {
  const { api } = world;
  await api.post('projects', { id: project, name: project });
  const body = `sha256sum body.bin\n${witness.script(lines, 20)}`;
  const steps = [
    {
      ...{ name: 'body', kind: 'package', targetRoles: [targetRole], package: { id: packageId } },
      postDeploy: { interpreter: 'bash', body },
    },
  ];
  await api.put(`projects/${project}/process`, { steps }, `projects/${project}`);
  let made = 0;
  return async (bodyBytes) => {
    made += 1;
    const version = `1.0.${made}`;
    const bytes = randomBytes(bodyBytes);
    await writeFile(join(folder, 'body.bin'), bytes);
    const file = join(folder, 'body.tar.gz');
    await run('tar', ['-C', folder, '-czf', file, 'body.bin']);
    const packed = await readFile(file);
    const query = `id=${packageId}&version=${version}&format=tar.gz`;
    const headers = { 'content-type': 'application/octet-stream' };
    await api.request('POST', `packages?${query}`, packed, headers);
    await api.post(`projects/${project}/releases`, { version });
    const bodySha256 = createHash('sha256').update(bytes).digest('hex');
    return { version, bodySha256, packageBytes: packed.length };
  };
}

/** Deploys a release to every machine of the lab; answers the task's id. */
export async function deploy(world: World, { version }: LabRelease): Promise<string> {
  const request = { project, release: version, environment, deadlineS: 180 };
  return (await world.api.post<{ id: string }>('deployments', request)).id;
}
