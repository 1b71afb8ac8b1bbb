// A file of the data folder that is damaged: filled with other bytes, or cut short. The component starts without it, or
// names it and ends with the exit code of its settings, never as if by a defect.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { identityFolder, writeIdentity } from '../../certs/identity.ts';
import { EXIT_CODES } from '../../cli/exit-codes.ts';
import { run } from '../../cli/run.ts';
import { createTestMesh } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import { captureTerminal, isthmus } from '../support/terminal.ts';
import { waitFor } from '../support/wait.ts';

/** What a message names in place of the file. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['isthmus.db', 'the database in'],
  ['master.check', 'master.key'],
  ['authority/authority.key.sealed', 'authority/key'],
]);

type Component = 'server' | 'relay' | 'mirror' | 'tentacle';

const settings = 'listen: 127.0.0.1:0\nparents:\n  - node: server-1\n    address: 127.0.0.1:1\n';

/** A data folder with every file that the component keeps from its start on. */
async function usedFolder(component: Component): Promise<string> {
  const folder = await tempDir();
  const data = join(folder, component);
  if (component === 'server') {
    const listen = ['--mesh-listen', '127.0.0.1:0', '--api-listen', '127.0.0.1:0'];
    await isthmus(['--context', join(folder, 'context.json'), 'init', '--data', data, ...listen]);
  } else {
    const mesh = await createTestMesh();
    await mkdir(data);
    writeIdentity(identityFolder(data), await mesh.identity('eu-1', component, { site: 'eu' }));
    await writeFile(join(data, 'config.yaml'), settings);
  }
  await writeFile(join(data, 'revocations.bin'), '');
  expect((await started(component, data)).code).toBe(0);
  return data;
}

/** Starts it, and stops it once it is up. */
async function started(component: Component, data: string): Promise<{ code: number; err: string }> {
  const stop = new AbortController();
  const { terminal, written } = captureTerminal({ signal: stop.signal });
  let ended: number | undefined;
  const running = run(['-o', 'json', component, 'start', '--data', data, '--log-level', 'error'], terminal).then(
    (code) => (ended = code),
  );
  await waitFor(() => ended !== undefined || written().out.includes('started'), { limitMs: 30_000, what: 'start' });
  stop.abort();
  return { code: await running, err: written().err };
}

it.each(['server', 'relay', 'mirror', 'tentacle'] as const)('of a %s', { timeout: 120_000 }, async (component) => {
  const used = await usedFolder(component);
  const entries = await readdir(used, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const data = join(await tempDir(), component);
  for (const file of files.map((path) => relative(used, path))) {
    for (const how of ['other bytes', 'cut short'] as const) {
      await rm(data, { recursive: true, force: true });
      await cp(used, data, { recursive: true });
      const path = join(data, file);
      const content = await readFile(path);
      await writeFile(path, how === 'other bytes' ? Buffer.alloc(600, 0x89) : content.subarray(0, content.length / 2));
      const { code, err } = await started(component, data);
      expect([EXIT_CODES.ok.code, EXIT_CODES.config.code], `${file}, ${how}: ${err}`).toContain(code);
      if (code !== 0) expect(err, `${file}, ${how}`).toContain(NAMED.get(file) ?? path);
    }
  }
});
