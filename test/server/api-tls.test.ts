// TLS of the API: the mesh's certificate beyond loopback, the operator's if configured, plain HTTP only on loopback or
// behind a proxy that terminates TLS; and how the command line trusts each.
import { execFile } from 'node:child_process';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { certificateFor, type ApiTlsConfig } from '../../server/api/port/certificate.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';
import { waitFor } from '../support/wait.ts';
import { WholeMesh } from './whole.ts';

const anywhere = '0.0.0.0:0';

/** The operator's authority and certificates that it issues. */
class OperatorAuthority {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<OperatorAuthority> {
    const authority = new OperatorAuthority(await tempDir());
    const subject = ['-subj', '/CN=an authority', '-days', '2'];
    await authority.#openssl('req', '-x509', ...newKey(authority.caKey), ...subject, '-out', authority.ca);
    return authority;
  }

  get ca(): string {
    return join(this.folder, 'ca.pem');
  }

  get caKey(): string {
    return join(this.folder, 'ca.key');
  }

  /** A certificate for a name, such as `IP:127.0.0.1`. */
  async issue(file: string, names: string): Promise<{ tlsCertificateFile: string; tlsKeyFile: string }> {
    const [tlsCertificateFile, tlsKeyFile] = [join(this.folder, `${file}.pem`), join(this.folder, `${file}.key`)];
    const by = ['-CA', this.ca, '-CAkey', this.caKey, '-subj', '/CN=api', '-addext', `subjectAltName=${names}`];
    await this.#openssl('req', '-x509', ...newKey(tlsKeyFile), ...by, '-days', '2', '-out', tlsCertificateFile);
    return { tlsCertificateFile, tlsKeyFile };
  }

  /** One that expired yesterday. */
  async ended(): Promise<{ tlsCertificateFile: string; tlsKeyFile: string }> {
    const { tlsCertificateFile, tlsKeyFile } = await this.issue('ended', 'DNS:x');
    const again = ['-in', tlsCertificateFile, '-signkey', tlsKeyFile, '-days', '-1', '-out', tlsCertificateFile];
    await this.#openssl('x509', ...again);
    return { tlsCertificateFile, tlsKeyFile };
  }

  /** One with a short RSA key. */
  async weak(): Promise<{ tlsCertificateFile: string; tlsKeyFile: string }> {
    const [tlsCertificateFile, tlsKeyFile] = [join(this.folder, 'weak.pem'), join(this.folder, 'weak.key')];
    const key = ['-newkey', 'rsa:1024', '-nodes', '-keyout', tlsKeyFile];
    await this.#openssl('req', '-x509', ...key, '-subj', '/CN=x', '-days', '2', '-out', tlsCertificateFile);
    return { tlsCertificateFile, tlsKeyFile };
  }

  async #openssl(...words: string[]): Promise<void> {
    await promisify(execFile)('openssl', words);
  }
}

const newKey = (file: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file];

async function serving(api: { listen: string } & ApiTlsConfig): Promise<{ mesh: WholeMesh; url: string; key: string }> {
  const mesh = await WholeMesh.up();
  await mesh.stopServer();
  await mesh.startServer({ ...mesh.config(), api });
  const key = join(mesh.folder, 'key');
  await writeFile(key, mesh.adminKey);
  const port = mesh.addresses.api.split(':').at(-1)!;
  return { mesh, url: `${mesh.addresses.apiUrl.split('://')[0]!}://127.0.0.1:${port}`, key };
}

const list = ['-o', 'json', 'site', 'list'];

describe("the API with the mesh's own certificate", () => {
  it('is what the command line trusts by the authority of the mesh, and by no other', async () => {
    const { mesh, url, key } = await serving({ listen: anywhere });
    expect(url).toMatch(/^https:/);
    const ca = join(mesh.folder, 'ca.pem');
    const { out } = await isthmus(['cert', 'authority', '--data', mesh.dataDir]);
    await writeFile(ca, out);
    expect(await isthmus(['--server', url, '--ca', ca, '--api-key-file', key, ...list])).toMatchObject({ code: 0 });
    const other = await WholeMesh.up();
    await writeFile(ca, (await isthmus(['cert', 'authority', '--data', other.dataDir])).out);
    expect(await isthmus(['--server', url, '--ca', ca, '--api-key-file', key, ...list])).toMatchObject({ code: 4 });
    // A request in clear on the same port gets no answer of the API.
    await expect(fetch(`${url.replace('https', 'http')}/livez`)).rejects.toThrow();
  });
});

describe('plain HTTP', () => {
  it('is for loopback, and elsewhere only behind a proxy that terminates TLS', async () => {
    expect((await serving({ listen: '127.0.0.1:0' })).url).toMatch(/^http:/);
    const { url } = await serving({ listen: anywhere, behindTlsProxy: true });
    expect(url).toMatch(/^http:/);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
  });
});

describe.skipIf(lacks('openssl'))("the API with the operator's certificate", () => {
  it('is what the command line trusts by its authority and its name', async () => {
    const authority = await OperatorAuthority.make();
    for (const listen of [anywhere, '127.0.0.1:0']) {
      const { url, key } = await serving({ listen, ...(await authority.issue('api', 'IP:127.0.0.1')) });
      expect(url).toMatch(/^https:/);
      const argv = ['--server', url, '--ca', authority.ca, '--api-key-file', key];
      expect(await isthmus([...argv, ...list])).toMatchObject({ code: 0 });
    }
  });

  it('for another name, or by another authority, is not trusted', async () => {
    const authority = await OperatorAuthority.make();
    const other = await OperatorAuthority.make();
    const { url, key } = await serving({ listen: anywhere, ...(await authority.issue('api', 'DNS:example.org')) });
    for (const ca of [authority.ca, other.ca]) {
      const { code, err } = await isthmus(['--server', url, '--ca', ca, '--api-key-file', key, ...list]);
      expect(code).toBe(4);
      expect(err).toContain('SERVER_WRONG_AUTHORITY');
    }
  });

  it('loads a renewed one from its files, and keeps the present one while they do not match', async () => {
    const authority = await OperatorAuthority.make();
    const files = await authority.issue('api', 'IP:127.0.0.1');
    const renewed = await authority.issue('next', 'IP:127.0.0.1');
    const warned: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void warned.push(line) });
    const source = certificateFor({ host: '0.0.0.0', port: 0 }, files, noIdentity, log, 5)!;
    const first = source.current();
    const seen: string[] = [];
    const stop = source.onChange(({ cert }) => seen.push(cert));
    await copyFile(renewed.tlsCertificateFile, files.tlsCertificateFile);
    await waitFor(() => warned.length > 1);
    expect([source.current(), seen]).toEqual([first, []]);
    await copyFile(renewed.tlsKeyFile, files.tlsKeyFile);
    await waitFor(() => seen.length > 0);
    stop();
    expect(seen).toEqual([source.current().cert]);
    expect(seen[0]).not.toBe(first.cert);
  });

  it.each<[string, string, (authority: OperatorAuthority) => Promise<ApiTlsConfig>]>([
    [
      'a certificate without its key',
      'api.tlsKeyFile',
      async (a) => ({ ...(await a.issue('x', 'DNS:x')), tlsKeyFile: undefined }),
    ],
    [
      'a key without its certificate',
      'api.tlsCertificateFile',
      async (a) => ({ ...(await a.issue('x', 'DNS:x')), tlsCertificateFile: undefined }),
    ],
    ['the key of another', 'api.tlsKeyFile', async (a) => ({ ...(await a.issue('x', 'DNS:x')), tlsKeyFile: a.caKey })],
    ['one that has ended', 'api.tlsCertificateFile', (a) => a.ended()],
    ['one that TLS takes for too weak', 'api.tlsCertificateFile', (a) => a.weak()],
    [
      'a file that is not there',
      'api.tlsCertificateFile',
      async (a) => ({ ...(await a.issue('x', 'DNS:x')), tlsCertificateFile: '/none' }),
    ],
    [
      'a file that is no certificate',
      'api.tlsCertificateFile',
      async (a) => ({ ...(await a.issue('x', 'DNS:x')), tlsCertificateFile: a.caKey }),
    ],
    [
      'a proxy as well',
      'api.behindTlsProxy',
      async (a) => ({ ...(await a.issue('x', 'DNS:x')), behindTlsProxy: true }),
    ],
  ])('stops the start with %s', async (_, field, settings) => {
    const api = await settings(await OperatorAuthority.make());
    expect(() => certificateFor({ host: '0.0.0.0', port: 0 }, api, noIdentity, silentLogger())).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', field }),
    );
  });
});

const noIdentity = { current: assertUnused, onChange: assertUnused };

function assertUnused(): never {
  throw new Error('the certificate of the mesh was asked for');
}
