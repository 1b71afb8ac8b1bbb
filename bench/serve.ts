// Bench: what it costs a mirror to serve packages that it has, beside nginx with the same certificates: processor time
// for each byte of large files, and requests each second for small ones. Rounds are interleaved.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSigner } from '../certs/signer.ts';
import { BlobStore } from '../lib/blobs/blob-store.ts';
import { createTestMesh, type TestMesh } from '../test/support/identities.ts';
import { waitFor } from '../test/support/wait.ts';
import { freePort } from '../test/support/world.ts';
import { BenchChild } from './support/child.ts';
import { missing } from './support/distribution-rivals.ts';
import { processorTimeMs } from './support/processor-time.ts';
import { percentile, rounded, type Bench, type BenchContext, type BenchReport, type Figure } from './support/report.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const LARGE_BYTES = 64 * MIB;
const SMALL_BYTES = 16 * 1024;
const CLIENTS = 8;
const SITE = 'bench';
const CLIENT = 'bench-1';

/** A server under test, with the same two files. */
interface Served {
  readonly url: (file: Stored) => string;
  readonly pids: () => Promise<readonly number[]>;
}

/** What ends the bench, last first. */
type Removals = (() => unknown)[];

interface Stored {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The header by which the mirror serves it. */
  readonly header: string;
}

interface Setting {
  readonly folder: string;
  readonly mesh: TestMesh;
  /** The client's key and certificates, in one file. */
  readonly client: string;
  readonly large: Stored;
  readonly small: Stored;
}

async function prepare(folder: string, mesh: TestMesh, mirrorDir: string): Promise<Setting> {
  const { identity } = await mesh.node(CLIENT, 'tentacle', { site: SITE });
  const { keyPem, certificatePem, authorityPem } = identity.current();
  const client = join(folder, 'client.pem');
  await writeFile(client, [certificatePem, authorityPem, keyPem].join('\n'), { mode: 0o600 });
  const blobs = await BlobStore.open(join(mirrorDir, 'packages'));
  const signer = createSigner(mesh.authority, 'server-1');
  const stored = async (bytes: number): Promise<Stored> => {
    const writer = await blobs.receive();
    await writer.write(randomBytes(bytes));
    const blob = await writer.commit();
    const grant = { ...blob, site: SITE, node: CLIENT, expiresAtMs: Date.now() + 3_600_000 };
    return { ...blob, header: `Authorization: Bearer ${signer.signDownloadToken(grant)}` };
  };
  return { folder, mesh, client, large: await stored(LARGE_BYTES), small: await stored(SMALL_BYTES) };
}

async function startMirror(dataDir: string): Promise<{ readonly served: Served; readonly child: BenchChild }> {
  const child = BenchChild.start(join(import.meta.dirname, 'children/mirror.ts'));
  const port = await child.ask<number>('start', { dataDir, feedListen: `127.0.0.1:${await freePort()}` });
  const url = ({ sha256 }: Stored): string => `https://127.0.0.1:${port}/v1/blobs/${sha256}`;
  return { served: { url, pids: () => Promise.resolve([child.pid]) }, child };
}

/** nginx with a mirror's certificate, and the same files. `stop` is pushed before it can fail. */
async function startNginx({ folder, mesh }: Setting, mirrorDir: string, removals: Removals): Promise<Served> {
  const [port, settings] = [await freePort(), join(folder, 'nginx.conf')];
  const { keyPem, certificatePem } = await mesh.identity('mirror-2', 'mirror', { site: SITE });
  await writeFile(join(folder, 'nginx.key'), keyPem, { mode: 0o600 });
  await writeFile(join(folder, 'nginx.pem'), `${certificatePem}\n${mesh.authorityPem}`);
  await writeFile(join(folder, 'authority.pem'), mesh.authorityPem);
  await writeFile(settings, nginxConfig(folder, port, join(mirrorDir, 'packages/blobs')));
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  const master = spawn('nginx', ['-c', settings, '-e', 'stderr', '-g', 'daemon off;'], { stdio: [...stdio] });
  const exited = once(master, 'exit');
  removals.push(async () => {
    master.kill('SIGTERM');
    await exited;
  });
  const workers = async (): Promise<readonly number[]> => {
    const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', `${master.pid}`]);
    return stdout.trim().split(/\s+/).map(Number);
  };
  await waitFor(() => workers().then(() => true), { what: 'the workers of nginx' });
  return { url: ({ sha256 }) => `https://127.0.0.1:${port}/${sha256.slice(0, 2)}/${sha256}`, pids: workers };
}

/** Milliseconds of processor time for each GiB, served to clients at once. */
async function largeCost({ url, pids }: Served, { client, large }: Setting, times: number): Promise<number> {
  const before = processorTimeMs(await pids()).own;
  const target = url(large);
  const words = ['-sSfk', '--cert', client, '-H', large.header];
  const files = Array.from({ length: times }, () => [target, '-o', '/dev/null']).flat();
  await Promise.all(Array.from({ length: CLIENTS }, () => run('curl', [...words, ...files])));
  return ((processorTimeMs(await pids()).own - before) * 1024 * MIB) / (CLIENTS * times * large.sizeBytes);
}

/** Requests each second, over connections that stay. */
async function smallRate({ url }: Served, { client, small }: Setting, requests: number): Promise<number> {
  const words = ['-q', '-k', '-c', `${CLIENTS}`, '-n', `${requests}`, '-E', client, '-H', small.header];
  const { stdout } = await run('ab', [...words, url(small)]);
  const [, failed] = /Failed requests: +(\d+)/.exec(stdout) ?? [];
  const [, rate] = /Requests per second: +([\d.]+)/.exec(stdout) ?? [];
  if (failed !== '0' || rate === undefined || stdout.includes('Non-2xx')) throw new Error(`ab failed: ${stdout}`);
  return Number(rate);
}

async function contend(
  { quick, say }: BenchContext,
  setting: Setting,
  ours: Served,
  nginx: Served | undefined,
): Promise<BenchReport> {
  const rounds = quick ? 3 : 9;
  const has = { ab: missing({ ab: 'apache2-utils' }) === undefined };
  const samples = {
    ours: { cost: [] as number[], rate: [] as number[] },
    nginx: { cost: [] as number[], rate: [] as number[] },
  };
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, served] of Object.entries({ ours, nginx })) {
      if (served === undefined) continue;
      const cost = await largeCost(served, setting, quick ? 1 : 2);
      const rate = has.ab ? await smallRate(served, setting, quick ? 2_000 : 5_000) : undefined;
      if (round < 0) continue;
      samples[name as keyof typeof samples].cost.push(cost);
      if (rate !== undefined) samples[name as keyof typeof samples].rate.push(rate);
      say(`${name.padEnd(6)} ${cost.toFixed(0).padStart(5)} ms/GiB  ${rate?.toFixed(0).padStart(6) ?? ''} requests/s`);
    }
  }
  const median = (values: readonly number[]): Figure => (values.length === 0 ? null : rounded(percentile(values)));
  const ratio = (values: readonly number[], of: readonly number[]): Figure => {
    return median(values.flatMap((value, round) => (of[round] === undefined ? [] : [value / of[round]])));
  };
  return {
    figures: {
      http_cpu_ratio: null,
      https_cpu_ratio: ratio(samples.ours.cost, samples.nginx.cost),
      small_http_ratio: null,
      small_https_ratio: ratio(samples.ours.rate, samples.nginx.rate),
      https_cpu_ms_per_gib: median(samples.ours.cost),
      small_https_per_s: median(samples.ours.rate),
    },
    rivals: {
      nginx_https_cpu_ms_per_gib: median(samples.nginx.cost),
      nginx_small_https_per_s: median(samples.nginx.rate),
    },
    notes: [
      `medians of ${rounds} interleaved rounds; ${CLIENTS} clients, TLS 1.3 with certificates of both sides; a request ` +
        'to the mirror has a download token, which it verifies',
      'a mirror serves no plain HTTP',
      ...['nginx-light:nginx', 'apache2-utils:ab'].flatMap((each) => {
        const [name = '', command = ''] = each.split(':');
        const install = missing({ [command]: name });
        return install === undefined ? [] : [`${command} is missing: ${install}`];
      }),
    ],
  };
}

export const bench: Bench = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const removals: Removals = [() => rm(folder, { recursive: true, force: true })];
  try {
    const mesh = await createTestMesh('bench', (remove) => void removals.push(remove));
    const { dataDir } = await mesh.node('mirror-1', 'mirror', { site: SITE });
    const setting = await prepare(folder, mesh, dataDir);
    const mirror = await startMirror(dataDir);
    removals.push(() => mirror.child.stop());
    const hasNginx = missing({ nginx: 'nginx-light' }) === undefined;
    const nginx = hasNginx ? await startNginx(setting, dataDir, removals) : undefined;
    return await contend(context, setting, mirror.served, nginx);
  } finally {
    for (const remove of removals.reverse()) await remove();
  }
};

function nginxConfig(folder: string, port: number, root: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => {
    return `${name}_temp_path ${folder}/nginx-${name};`;
  });
  return `user root;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 512; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=100;
  keepalive_requests 1000000;
  ${temporary.join('\n  ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate ${folder}/nginx.pem;
    ssl_certificate_key ${folder}/nginx.key;
    ssl_client_certificate ${folder}/authority.pem;
    ssl_verify_client on;
    root ${root};
  }
}
`;
}
