// The status file: changes are on disk, few of them where a link flaps, and no reader follows what lies in its place.
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { IsthmusError } from '../contract/errors.ts';
import { silentLogger } from '../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import { tempDir } from '../test/support/temp.ts';
import { readStatus, StatusFile } from './status.ts';

const LOST = new IsthmusError('LINK_TIMEOUT', 'nothing was heard of eu');

async function statusFile(): Promise<{ dataDir: string; path: string; status: StatusFile }> {
  const dataDir = await tempDir();
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const status = new StatusFile({ dataDir, component: 'relay', log: silentLogger() });
  onTestFinished(() => status.close());
  return { dataDir, path: join(dataDir, 'status.json'), status };
}

test('says which process runs, and since when it is in its state', async () => {
  const { dataDir, path, status } = await statusFile();
  const startedAt = Date.now();
  const started = { component: 'relay', version: SOFTWARE_VERSION, pid: process.pid, startedAt };
  expect(readStatus(dataDir)).toEqual({ ...started, state: 'starting', since: startedAt });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  vi.advanceTimersByTime(500);
  status.connected();
  expect(readStatus(dataDir)).toEqual({ ...started, state: 'connected', since: startedAt + 500 });
  vi.advanceTimersByTime(500);
  status.disconnected(LOST);
  const lost = { state: 'disconnected', since: startedAt + 1_000 };
  expect(readStatus(dataDir)).toEqual({ ...started, ...lost, code: 'LINK_TIMEOUT', detail: LOST.message });
  vi.advanceTimersByTime(500);
  status.disconnected(new IsthmusError('UNREACHABLE', 'no answer'));
  expect(readStatus(dataDir)).toEqual({ ...started, ...lost, code: 'UNREACHABLE', detail: 'no answer' });
  status.connected();
  expect(readStatus(dataDir)).toEqual({ ...started, state: 'connected', since: startedAt + 1_500 });
});

test('a link that flaps costs few writes, and the last state is written', async () => {
  const { dataDir, path, status } = await statusFile();
  const written = new Set<string>();
  for (let second = 0; second < 600; second += 1) {
    status.disconnected(LOST);
    status.connected();
    written.add(readFileSync(path, 'utf8'));
    vi.advanceTimersByTime(1_000);
  }
  expect(written.size).toBeLessThan(70);
  status.disconnected(LOST);
  vi.advanceTimersByTime(20_000);
  expect(readStatus(dataDir)).toMatchObject({ state: 'disconnected', code: 'LINK_TIMEOUT' });
});

test('a file that cannot be written ends nothing, and is written when it can be', async () => {
  const { dataDir, path, status } = await statusFile();
  rmSync(path);
  mkdirSync(path);
  status.connected();
  expect(readStatus(dataDir)).toBeUndefined();
  rmSync(path, { recursive: true });
  vi.advanceTimersByTime(20_000);
  await vi.waitFor(() => expect(readStatus(dataDir)).toMatchObject({ state: 'connected' }));
});

test('a link, a large file and what is no status are not believed', async () => {
  const { dataDir, path } = await statusFile();
  const text = readFileSync(path, 'utf8');
  const elsewhere = join(await tempDir(), 'status.json');
  writeFileSync(elsewhere, text);
  rmSync(path);
  symlinkSync(elsewhere, path);
  expect(readStatus(dataDir)).toBeUndefined();
  rmSync(path);
  for (const wrong of ['', 'null', '{}', text.replace('"starting"', '"well"'), ' '.repeat(70_000) + text]) {
    writeFileSync(path, wrong);
    expect(readStatus(dataDir)).toBeUndefined();
  }
});
