// What commands say about what to do, and about what was done.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { json, startFakeApi } from '../support/fake-api.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

it('a task that failed says what to do about the errors that others follow from, and names no log without one', async () => {
  const api = await startFakeApi();
  const step = { step: 'upgrade', action: 'upgrade', exitCode: null, signal: null, detail: null };
  const ended = (machine: string, state: string, code: string) => ({
    ...{ machine, state },
    steps: [{ ...step, state, error: { code, detail: null, hop: machine } }],
  });
  const task = {
    ...{ id: 't1', kind: 'upgrade', title: 'upgrade of eu', state: 'failed', createdAt: 1, deadlineAt: 2 },
    machines: [ended('web-1', 'skipped', 'UPGRADE_STOPPED'), ended('web-2', 'failed', 'SOFTWARE_KEYS_MISSING')],
    error: { code: 'MACHINES_FAILED', detail: 'failed on web-2' },
  };
  api.on('GET /api/v1/tasks/t1', (_request, response) => json(response, task));
  api.on('GET /api/v1/tasks/t1/log', (_request, response) => json(response, { items: [] }));
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end('id: 1\nevent: end\ndata: {"state":"failed"}\n\n');
  });
  const remedy =
    'Compare the fingerprint of the release key with the builder’s, then trust it on the host. ' +
    '`isthmus host trust FILE` trusts it there.';
  const shown = await isthmus([...api.args, 'task', 'show', 't1']);
  expect(shown.out).toMatch(/\nwhat to do \(SOFTWARE_KEYS_MISSING\): (.*)\n$/);
  expect(shown.out.match(/what to do.*: (.*)/g)).toEqual([`what to do (SOFTWARE_KEYS_MISSING): ${remedy}`]);
  const followed = await isthmus([...api.args, 'task', 'follow', 't1']);
  expect(followed.err).toBe(
    'isthmus: task t1 failed; MACHINES_FAILED: failed on web-2; web-2: SOFTWARE_KEYS_MISSING (TASK_NOT_SUCCESSFUL)\n' +
      `  what to do: ${remedy} \`isthmus task show t1\` shows what each machine says.\n`,
  );
  const log = await isthmus([...api.args, 'task', 'log', 't1']);
  expect(log).toMatchObject({ code: 0, out: '' });
  expect(log.err).toBe('the log is empty; `isthmus task show t1` shows what each machine says\n');
});

it.each<[string, object, string]>([
  [
    'that is unhealthy',
    { severity: 'unhealthy', text: '0 MiB of 9.0 GiB of disk free' },
    'Correct on web-1: 0 MiB of 9.0 GiB of disk free. `isthmus health check web-1` checks it then.',
  ],
  [
    'that is denied',
    { severity: 'unreachable', text: 'denied', hop: 'web-1', code: 'NODE_CLONED' },
    '`isthmus node reactivate web-1` lets it in.',
  ],
  [
    'that is not reached',
    { severity: 'unreachable', text: 'no link', hop: 'eu', code: 'UNREACHABLE' },
    'See which hop fails with `isthmus mesh trace web-1`.',
  ],
])('health show says what to do about a machine %s', async (_, reason, words) => {
  const api = await startFakeApi();
  const checks = { intervalS: 0, lastRoundAt: null, outdatedBefore: null };
  const machine = { id: 'web-1', disabled: false, state: 'active', health: 'unhealthy', healthAt: 1 };
  const items = [{ ...machine, healthReport: { health: 'unhealthy', by: 'call', reasons: [reason] } }];
  api.on('GET /api/v1/health-checks', (_request, response) => json(response, checks));
  api.on('GET /api/v1/machines', (_request, response) => json(response, { items }));
  const { err } = await isthmus([...api.args, 'health', 'show']);
  expect(err).toBe(`isthmus: not healthy: web-1 (CHECK_FAILED)\n  what to do: ${words}\n`);
});

it('a release, when it is created or deployed, shows the package versions that it took', async () => {
  const api = await startFakeApi();
  const release = { version: '2.0.0', packages: [{ step: 'web', id: 'hello', version: '1.0.0' }] };
  api.on('POST /api/v1/projects/hello/releases', (_request, response) => json(response, release, 201));
  api.on('GET /api/v1/projects/hello/releases/2.0.0', (_request, response) => json(response, release));
  api.on('POST /api/v1/deployments', (_request, response) => json(response, { id: 't1', title: 'x' }, 202));
  const created = await isthmus([...api.args, 'release', 'create', 'hello', '2.0.0']);
  expect(created.out).toBe('release 2.0.0 of hello created\n  step web: package hello 1.0.0\n');
  const deployed = await isthmus([...api.args, 'deploy', 'hello', '2.0.0', '--to', 'prod']);
  expect(deployed.out).toMatch(/^task t1 accepted/);
  expect(deployed.err).toBe('step web: package hello 1.0.0\n');
});

it('a wrong field in the file of a process is named as it is there', async () => {
  const api = await startFakeApi();
  const wrong = {
    ...{ type: 'about:blank', title: 'x', status: 422, code: 'INVALID_FIELD', remedy: 'Correct it.' },
    ...{ detail: 'steps[2].kind must be one of: script, package', field: 'steps[2].kind' },
  };
  api.on('POST /api/v1/projects', (_request, response) => json(response, wrong, 422));
  const file = join(await tempDir(), 'process.json');
  await writeFile(file, '[]');
  const { err } = await isthmus([...api.args, 'project', 'create', 'web', '--process', file]);
  expect(err).toMatch(
    /^isthmus: steps\[2\]\.kind must be one of: script, package \(INVALID_FIELD\)\n {2}option: --process\n/,
  );
});

it('mesh status and node show name the command that lets a denied process in', async () => {
  const api = await startFakeApi();
  const clones = [{ hostname: 'web-1.example', address: '10.0.0.9', via: 'eu', at: 1 }];
  const node = { id: 'web-1', role: 'tentacle', site: 'eu', state: 'active', live: 'offline', behind: null, clones };
  api.on('GET /api/v1/mesh', (_request, response) => json(response, { nodes: [node], links: [] }));
  api.on('GET /api/v1/nodes', (_request, response) => json(response, { items: [] }));
  api.on('GET /api/v1/nodes/web-1', (_request, response) => json(response, { ...node, parents: [], links: [] }));
  const told = 'also at web-1.example (10.0.0.9 via eu), denied. `isthmus node reactivate web-1` lets it in.';
  const { out: status } = await isthmus([...api.args, 'mesh', 'status']);
  expect(status).toContain(`web-1 is cloned: ${told}\n`);
  const { out: shown } = await isthmus([...api.args, 'node', 'show', 'web-1']);
  expect(shown).toContain(told);
});
