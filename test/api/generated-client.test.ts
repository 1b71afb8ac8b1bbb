// A client generated from the OpenAPI document by openapi-typescript: its types match what the API takes and answers,
// and calls through it work. The calls are in generated-client/; their extension .txt hides them from checks that run
// before the types exist.
import { execFile } from 'node:child_process';
import { copyFile, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript';
import { expect, it } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { startApi, type TestApi } from './api.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

const compilerOptions = {
  target: 'es2024',
  lib: ['es2024', 'dom', 'dom.iterable'],
  module: 'nodenext',
  types: [],
  strict: true,
  skipLibCheck: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  allowImportingTsExtensions: true,
  noEmit: true,
};

/** A folder with the calls and the types generated from the document. */
async function generated(api: TestApi): Promise<string> {
  const { body } = await api.call('GET', '/api/v1/openapi.json');
  const folder = await tempDir();
  await writeFile(join(folder, 'openapi.ts'), astToString(await openapiTS(body as unknown as OpenAPI3)));
  await copyFile(join(import.meta.dirname, 'generated-client/calls.ts.txt'), join(folder, 'calls.ts'));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['calls.ts'] }));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** The compiler's output for the calls: empty when they fit the types. */
async function typeErrors(folder: string): Promise<string> {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const checked = run(process.execPath, [compiler, '--project', folder], { cwd: folder });
  return checked.then(
    () => '',
    (failure: { stdout: string }) => failure.stdout,
  );
}

/** The API with machine web-1, and a feed of one package. */
async function startShop(): Promise<TestApi> {
  const found = { id: 'shop', version: '1.0', sha256: 'a'.repeat(64), sizeBytes: 5, format: 'zip' } as const;
  const keys = { idKey: 'shop', versionKey: '1.0', publishedAt: 1 };
  const api = await startApi({
    pushPackage: async (bytes) => ({ ...found, sizeBytes: (await text(bytes)).length, created: true }),
    findPackage: () => Promise.resolve({ ...found, ...keys }),
    openPackage: () => Promise.resolve(Readable.from(['bytes'])),
  });
  await api.store.transaction(async (tx) => {
    const at = { createdAt: 1 };
    await tx.sites.insert({ id: 'eu', name: 'eu', description: '', ...at });
    await tx.nodes.insert({ id: 'web-1', role: 'tentacle', site: 'eu', parents: [], ...at });
    const routes = [{ kind: 'direct' as const }];
    await tx.machines.insert({
      id: 'web-1',
      name: 'web',
      site: 'eu',
      environments: [],
      targetRoles: [],
      routes,
      ...at,
    });
  });
  return api;
}

it('matches what the API takes and answers, and calls it', async () => {
  const api = await startShop();
  const folder = await generated(api);
  expect(await typeErrors(folder)).toBe('');
  const script = `
    const { calls } = await import('./calls.ts');
    console.log(JSON.stringify(await calls(process.env.BASE, process.env.KEY)));`;
  const env = { BASE: api.base, KEY: api.keys.admin };
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder, env });
  expect(JSON.parse(stdout)).toEqual({
    steps: ['script echo hello', 'package shop'],
    sameTwice: true,
    rejected: 'PRECONDITION_REQUIRED',
    replaced: ['package shop'],
    wrong: [412, 'PRECONDITION_FAILED', true],
    task: ['queued', 'pending', 1],
    log: ['info'],
    pushed: [201, 5, 'bytes'],
    message: 'UNREACHABLE',
  });
});
