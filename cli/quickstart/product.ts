// What the quickstart deploys: the example's package in the feed, its project with process and variables, a release.
import { readFile } from 'node:fs/promises';
import type { PackageVersion } from '../../contract/packages.ts';
import type { Release } from '../../contract/releases.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import type { NewVariable, Variable } from '../../contract/variables.ts';
import { parseSettings } from '../../lib/config/file.ts';
import { softwarePath } from '../../lib/software.ts';
import { decodeText } from '../../lib/text/read-text.ts';
import { path, type ApiClient } from '../client/client.ts';
import { pushPackage } from '../commands/package.ts';
import { ENVIRONMENT } from './mesh.ts';
import type { DemoState, StateFolder } from './state.ts';
import { DEMO_MACHINES } from './topology.ts';
import type { BuiltPackage } from './web-package.ts';

export const PROJECT = 'web';
const PACKAGE_ID = 'isthmus-example-web';

/** The next version after the highest `1.0.N`. */
function nextVersion(versions: readonly string[]): string {
  const numbers = versions.map((version) => Number(/^1\.0\.(\d+)$/.exec(version)?.[1] ?? -1));
  return `1.0.${Math.max(-1, ...numbers) + 1}`;
}

/** Pushes the package unless the feed has these bytes already. */
export async function ensurePackage(
  client: ApiClient,
  built: BuiltPackage,
): Promise<{ version: string; pushed: boolean }> {
  const known = await client.list<{ id: string }>('packages');
  const isKnown = known.some(({ id }) => id === PACKAGE_ID);
  const versions = isKnown ? await client.list<PackageVersion>(path('packages', PACKAGE_ID, 'versions')) : [];
  const same = versions.find(({ sha256 }) => sha256 === built.sha256);
  if (same !== undefined) return { version: same.version, pushed: false };
  const version = nextVersion(versions.map((each) => each.version));
  await pushPackage(client, built.file, PACKAGE_ID, version);
  return { version, pushed: true };
}

function wantedVariables(state: DemoState, folder: StateFolder): NewVariable[] {
  return [
    { name: 'Node', value: process.execPath },
    { name: 'Greeting', value: 'Hello from behind the relays' },
    { name: 'SigningKey', value: state.signingKey, sensitive: true },
    { name: 'Lifeline', value: folder.lifeline },
    ...DEMO_MACHINES.flatMap(({ id, site }) => [
      { name: 'Site', value: site, machines: [id] },
      { name: 'Port', value: String(state.ports[`web ${id}`]), machines: [id] },
      { name: 'RunFolder', value: folder.runDir(id), machines: [id] },
    ]),
  ];
}

/** Adds missing variables and changes those that differ; a sensitive value cannot be read back to compare. */
async function ensureVariables(client: ApiClient, wanted: readonly NewVariable[]): Promise<void> {
  const collection = path('projects', PROJECT, 'variables');
  const present = await client.list<Variable>(collection);
  for (const { name, value, sensitive = false, machines = [] } of wanted) {
    const same = present.find((each) => each.name === name && each.machines.join() === machines.join());
    if (same === undefined) await client.post(collection, { name, value, sensitive, machines });
    else if (!sensitive && same.value !== value)
      await client.change('PATCH', `${collection}/${encodeURIComponent(same.id)}`, { value });
  }
}

/** Creates or updates the project, with the process of examples/web and its variables. */
export async function ensureProject(client: ApiClient, state: DemoState, folder: StateFolder): Promise<void> {
  const known = await client.list<{ id: string }>('projects');
  if (!known.some(({ id }) => id === PROJECT)) {
    await client.post('projects', {
      id: PROJECT,
      name: 'Web',
      description: 'the example application of the quickstart',
    });
  }
  const file = softwarePath('examples/web/process.yaml');
  const { value } = parseSettings(decodeText(await readFile(file), file).text, file);
  await client.change('PUT', path('projects', PROJECT, 'process'), value, path('projects', PROJECT));
  await ensureVariables(client, wantedVariables(state, folder));
}

/** Creates a release of the project with this package version. */
export async function createRelease(client: ApiClient, packageVersion: string): Promise<Release> {
  const releases = await client.list<Release>(path('projects', PROJECT, 'releases'));
  const version = nextVersion(releases.map((each) => each.version));
  const { body } = await client.post<Release>(path('projects', PROJECT, 'releases'), {
    version,
    notes: 'created by the quickstart',
    packages: { web: packageVersion },
  });
  return body;
}

/** Deploys a release to every machine of the demonstration; resolves with the task's id. */
export async function deploy(client: ApiClient, version: string): Promise<string> {
  const { body } = await client.post<TaskSummary>('deployments', {
    project: PROJECT,
    release: version,
    environment: ENVIRONMENT,
    deadlineS: 120,
  });
  return body.id;
}
