// Checks the Dockerfile and the compose file without an engine: users, privileges and networks.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { run } from '../lab/support/run.ts';
import { lacks } from '../support/needs.ts';

const root = join(import.meta.dirname, '../..');

interface Service {
  readonly networks: readonly string[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly command: readonly string[];
  readonly volumes: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, unknown>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const compose = parse(await readFile(join(root, 'docker/compose.yaml'), 'utf8'), { merge: true }) as Compose;

/** The instructions of the Dockerfile: continuation lines joined, comments gone. */
async function instructions(): Promise<{ verb: string; rest: string }[]> {
  const text = await readFile(join(root, 'docker/Dockerfile'), 'utf8');
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => ({ verb: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1) }));
}

test('the image starts from one base that can be replaced, and runs as an unprivileged user, with a health check', async () => {
  const all = await instructions();
  const verbs = all.map(({ verb }) => verb);
  const known = 'ARG FROM WORKDIR COPY RUN LABEL ENV USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD'.split(' ');
  expect(verbs.filter((verb) => !known.includes(verb))).toEqual([]);
  expect(all.filter(({ verb }) => verb === 'FROM').map(({ rest }) => rest)).toEqual(['${BASE}']);
  const users = all.filter(({ verb }) => verb === 'USER');
  expect(users.at(-1)?.rest).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/);
  expect(verbs.indexOf('USER')).toBeLessThan(verbs.indexOf('ENTRYPOINT'));
  expect(verbs).toContain('HEALTHCHECK');
  for (const verb of ['ENTRYPOINT', 'CMD']) {
    expect(JSON.parse(all.find((each) => each.verb === verb)?.rest ?? '')).toBeInstanceOf(Array);
  }
});

test('the image is the tree of the tarball, and nothing is fetched or compiled for it', async () => {
  const all = await instructions();
  expect(all.filter(({ verb }) => verb === 'COPY').map(({ rest }) => rest)).toEqual(['. ./']);
  for (const { rest } of all.filter(({ verb }) => verb === 'RUN')) expect(rest).toMatch(/^install -d /);
});

test('no secret can be in the image: no build argument but its base, and nothing private in its environment', async () => {
  for (const { verb, rest } of await instructions()) {
    if (verb === 'ARG') expect(rest).toBe('BASE=debian:bookworm-slim');
    if (verb === 'ENV') expect(rest).not.toMatch(/KEY|TOKEN|SECRET|PASSWORD/i);
  }
});

test.skipIf(lacks('compose'))('the compose file is one that compose takes', async () => {
  await run('docker-compose', ['-f', join(root, 'docker/compose.yaml'), 'config', '--quiet']);
});

test('only relays are in more than one of the three networks', () => {
  expect(Object.keys(compose.networks)).toHaveLength(3);
  for (const [name, { networks }] of Object.entries(compose.services)) {
    expect(networks.length > 1, name).toBe(name.startsWith('relay-'));
    for (const network of networks) expect(Object.keys(compose.networks)).toContain(network);
  }
});

test('every component runs on a read-only root without privileges, with a health check', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    expect(service.read_only, name).toBe(true);
    expect(service.cap_drop, name).toEqual(['ALL']);
    expect(service.security_opt, name).toContain('no-new-privileges:true');
    expect(service.command.slice(1, 4), name).toEqual(['start', '--data', '/data/node']);
    for (const volume of service.volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    expect(service.healthcheck?.test[0], name).toBe('CMD');
  }
});
