// The quickstart's processes: started together, stopped together, and a failure shows the last log lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { ProcessGroup } from '../../cli/quickstart/child-processes.ts';
import { isAlive } from '../support/alive.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

// A fake `isthmus`: its first argument selects its behaviour.
const fakeMain = `
const [what] = process.argv.slice(2).filter((word) => !word.startsWith('-') && word !== 'json');
const started = () => console.log(JSON.stringify({ started: what, addresses: { mesh: '127.0.0.1:1' } }));
if (what === 'fails') { console.error('the port is in use'); process.exit(9); }
if (what === 'dies') { started(); setTimeout(() => { console.error('out of luck'); process.exit(3); }, 50); }
if (what === 'works' || what === 'hangs') { started(); }
if (what === 'works') process.stdin.resume().on('end', () => process.exit(0));
if (what === 'hangs') { process.stdin.resume(); process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); }
if (what === 'echoes') process.stdin.pipe(process.stdout);
if (what === 'waits') setInterval(() => {}, 1000);
if (what === 'environment') console.log(JSON.stringify(Object.keys(process.env).filter((name) => name.startsWith('ISTHMUS_'))));
`;

async function group(): Promise<{ group: ProcessGroup; log: string; main: string }> {
  const folder = await tempDir();
  const main = join(folder, 'main.js');
  await writeFile(main, fakeMain);
  return { group: new ProcessGroup(main), log: join(folder, 'component.log'), main };
}

it('starts a component, returns its addresses, and stops it by ending its standard input', async () => {
  const { group: processes, log } = await group();
  expect(await processes.start('one', ['works'], log)).toEqual({ mesh: '127.0.0.1:1' });
  const pid = processes.running.get('one')!;
  expect(isAlive(pid)).toBe(true);
  await processes.stop();
  expect(isAlive(pid)).toBe(false);
});

it('says why a component did not start, with the last lines of its log', async () => {
  const { group: processes, log } = await group();
  await expect(processes.start('one', ['fails'], log)).rejects.toMatchObject({
    code: 'COMPONENT_FAILED',
    message: expect.stringMatching(/one ended with exit code 9\n.*\nthe port is in use/) as string,
  });
  await processes.stop();
});

it('reports a started component that exits', async () => {
  const { group: processes, log } = await group();
  await processes.start('one', ['dies'], log);
  await expect(processes.failed).rejects.toMatchObject({ message: expect.stringContaining('out of luck') as string });
  await processes.stop();
});

it('kills a component that does not stop', async () => {
  const { group: processes, log } = await group();
  await processes.start('one', ['hangs'], log);
  const pid = processes.running.get('one')!;
  await processes.stop({ limitMs: 200 });
  expect(isAlive(pid)).toBe(false);
});

it('starts nothing after stop(), and does not wait for a command that hangs', async () => {
  const { group: processes, log } = await group();
  const hanging = processes.run('join', ['waits'], log);
  await waitFor(() => processes.running.has('join'), { what: 'the command' });
  const stopped = processes.stop({ limitMs: 60_000 });
  await expect(hanging).rejects.toMatchObject({ code: 'COMPONENT_FAILED' });
  await stopped;
  await expect(processes.start('late', ['works'], log)).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(processes.running.has('late')).toBe(false);
});

it('passes components no Isthmus settings from the environment', async () => {
  vi.stubEnv('ISTHMUS_SERVER', 'https://production.example');
  vi.stubEnv('ISTHMUS_LOG_LEVEL', 'debug');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { group: processes, log } = await group();
  expect(JSON.parse(await processes.run('one', ['environment'], log))).toEqual(['ISTHMUS_LOG_LEVEL']);
});

it('runs a command with a secret on its standard input', async () => {
  const { group: processes, log } = await group();
  expect(await processes.run('join', ['echoes'], log, 'a token\n')).toBe('a token\n');
});

it('a component does not outlive a killed parent', async () => {
  const { log, main } = await group();
  const script = `
    import { ProcessGroup } from ${JSON.stringify(join(import.meta.dirname, '../../cli/quickstart/child-processes.ts'))};
    const processes = new ProcessGroup(${JSON.stringify(main)});
    await processes.start('one', ['works'], ${JSON.stringify(log)});
    console.log(processes.running.get('one'));
    setInterval(() => undefined, 1000);
  `;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script]);
  const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(chunk.toString());
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'close');
  await waitFor(() => !isAlive(pid), { what: 'the component to end' });
});
