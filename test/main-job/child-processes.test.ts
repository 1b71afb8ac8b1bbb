// The quickstart's processes: started together, ended together, and a failure shows what the part said last.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { ProcessGroup } from '../../cli/quickstart/child-processes.ts';
import { isAlive } from '../support/alive.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

// Stands for `isthmus`: the first word says how it behaves.
const fakeMain = `
const [what] = process.argv.slice(2).filter((word) => !word.startsWith('-') && word !== 'json');
const started = () => console.log(JSON.stringify({ started: what, addresses: { mesh: '127.0.0.1:1' } }));
if (what === 'refuses') { console.error('the port is in use'); process.exit(9); }
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
  return { group: new ProcessGroup(main), log: join(folder, 'part.log'), main };
}

it('starts a part, gives its addresses, and stops it by ending its standard input', async () => {
  const { group: parts, log } = await group();
  expect(await parts.start('one', ['works'], log)).toEqual({ mesh: '127.0.0.1:1' });
  const pid = parts.running.get('one')!;
  expect(isAlive(pid)).toBe(true);
  await parts.stop();
  expect(isAlive(pid)).toBe(false);
});

it('says why a part did not start, with the last lines of its log', async () => {
  const { group: parts, log } = await group();
  await expect(parts.start('one', ['refuses'], log)).rejects.toMatchObject({
    code: 'COMPONENT_FAILED',
    message: expect.stringMatching(/one ended with exit code 9\n.*\nthe port is in use/) as string,
  });
  await parts.stop();
});

it('says when a part that had started ends by itself', async () => {
  const { group: parts, log } = await group();
  await parts.start('one', ['dies'], log);
  await expect(parts.failed).rejects.toMatchObject({ message: expect.stringContaining('out of luck') as string });
  await parts.stop();
});

it('kills what does not stop', async () => {
  const { group: parts, log } = await group();
  await parts.start('one', ['hangs'], log);
  const pid = parts.running.get('one')!;
  await parts.stop({ limitMs: 200 });
  expect(isAlive(pid)).toBe(false);
});

it('starts nothing once it has been told to stop, and does not wait for a command that hangs', async () => {
  const { group: parts, log } = await group();
  const hanging = parts.run('join', ['waits'], log);
  await waitFor(() => parts.running.has('join'), { what: 'the command' });
  const stopped = parts.stop({ limitMs: 60_000 });
  await expect(hanging).rejects.toMatchObject({ code: 'COMPONENT_FAILED' });
  await stopped;
  await expect(parts.start('late', ['works'], log)).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(parts.running.has('late')).toBe(false);
});

it('gives parts no settings of the environment, which are meant for others', async () => {
  vi.stubEnv('ISTHMUS_SERVER', 'https://production.example');
  vi.stubEnv('ISTHMUS_LOG_LEVEL', 'debug');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { group: parts, log } = await group();
  expect(JSON.parse(await parts.run('one', ['environment'], log))).toEqual(['ISTHMUS_LOG_LEVEL']);
});

it('runs a command with a secret on its standard input', async () => {
  const { group: parts, log } = await group();
  expect(await parts.run('join', ['echoes'], log, 'a token\n')).toBe('a token\n');
});

it('a part does not outlive a parent that is killed', async () => {
  const { log, main } = await group();
  const script = `
    import { ProcessGroup } from ${JSON.stringify(join(import.meta.dirname, '../../cli/quickstart/child-processes.ts'))};
    const parts = new ProcessGroup(${JSON.stringify(main)});
    await parts.start('one', ['works'], ${JSON.stringify(log)});
    console.log(parts.running.get('one'));
    setInterval(() => undefined, 1000);
  `;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script]);
  const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(chunk.toString());
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'close');
  await waitFor(() => !isAlive(pid), { what: 'the part to end' });
});
