// The TLS certificate of the API. API keys travel in requests, so there are only two cases without TLS: on loopback,
// and when a setting says that a proxy in front terminates TLS. Otherwise the API uses the operator's certificate, or
// the server's mesh certificate.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type Server as TlsServer } from 'node:tls';
import type { FastifyServerOptions } from 'fastify';
import { every } from '../../../lib/async/background.ts';
import { IsthmusError } from '../../../contract/errors.ts';
import { readSecret } from '../../../lib/files/private.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import type { HostPort } from '../../../lib/net/host-port.ts';
import { isLoopback } from '../../../lib/net/network-address.ts';
import type { ApiInstance } from '../context.ts';

const MINIMUM_TLS_VERSION = 'TLSv1.3' as const;

export interface ApiTlsConfig {
  readonly tlsCertificateFile?: string | undefined;
  readonly tlsKeyFile?: string | undefined;
  readonly behindTlsProxy?: boolean | undefined;
}

interface TlsMaterial {
  readonly key: string;
  /** The leaf first. */
  readonly cert: string;
}

/** A certificate that changes. `onChange` calls the listener with every new one; call the returned function to stop. */
export interface CertificateSource {
  current(): TlsMaterial;
  onChange(listener: (next: TlsMaterial) => void): () => void;
}

interface MeshCertificate {
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly authorityPem: string;
}

interface MeshIdentity {
  current(): MeshCertificate;
  onChange(listener: (next: MeshCertificate) => void): () => void;
}

/** How often files are read again. Certificates of public authorities are renewed weeks before they expire. */
const RELOAD_EVERY_MS = 60_000;

/** The certificate for an address; undefined for plain HTTP. Throws CONFIG_INVALID for contradicting settings. */
export function certificateFor(
  { host }: HostPort,
  { tlsCertificateFile, tlsKeyFile, behindTlsProxy = false }: ApiTlsConfig,
  identity: MeshIdentity,
  log: Logger,
  reloadEveryMs = RELOAD_EVERY_MS,
): CertificateSource | undefined {
  if (tlsCertificateFile !== undefined && tlsKeyFile !== undefined) {
    if (behindTlsProxy) throw invalid('api.behindTlsProxy', 'either a proxy or the API terminates TLS, not both');
    return new FileCertificate({ tlsCertificateFile, tlsKeyFile, log, reloadEveryMs });
  }
  if (tlsCertificateFile !== undefined) throw invalid('api.tlsKeyFile', 'api.tlsCertificateFile needs its key');
  if (tlsKeyFile !== undefined) throw invalid('api.tlsCertificateFile', 'api.tlsKeyFile needs its certificate');
  return behindTlsProxy || isLoopback(host) ? undefined : meshCertificate(identity);
}

/** Fastify's options for a certificate. */
export function serverOptionsFor(source: CertificateSource | undefined): FastifyServerOptions {
  return source === undefined ? {} : ({ https: tlsOptions(source.current()) } as FastifyServerOptions);
}

/** Uses a renewed certificate from the next handshake on. Call the returned function to stop. */
export function followCertificate(app: ApiInstance, source: CertificateSource | undefined): () => void {
  if (source === undefined) return () => undefined;
  return source.onChange((next) => (app.server as unknown as TlsServer).setSecureContext(tlsOptions(next)));
}

function tlsOptions(material: TlsMaterial) {
  return { ...material, minVersion: MINIMUM_TLS_VERSION };
}

/** The chain includes the authority, so that a client that has only its fingerprint can check it. */
function meshCertificate(identity: MeshIdentity): CertificateSource {
  const toMaterial = ({ keyPem, certificatePem, authorityPem }: MeshCertificate): TlsMaterial => ({
    key: keyPem,
    cert: `${certificatePem.trimEnd()}\n${authorityPem}`,
  });
  return {
    current: () => toMaterial(identity.current()),
    onChange: (listener) => identity.onChange((next) => listener(toMaterial(next))),
  };
}

interface FileOptions {
  readonly tlsCertificateFile: string;
  readonly tlsKeyFile: string;
  readonly log: Logger;
  readonly reloadEveryMs: number;
}

/** The operator's certificate, reloaded regularly. Files that do not match, as during a renewal, change nothing. */
class FileCertificate implements CertificateSource {
  readonly #options: FileOptions;
  #current: TlsMaterial;

  constructor(options: FileOptions) {
    this.#options = options;
    this.#current = readMaterial(options);
  }

  current(): TlsMaterial {
    return this.#current;
  }

  onChange(listener: (next: TlsMaterial) => void): () => void {
    const { reloadEveryMs, log } = this.#options;
    return every(reloadEveryMs, 'api.certificate', log, () => this.#reload(listener));
  }

  #reload(listener: (next: TlsMaterial) => void): void {
    const { tlsCertificateFile: file, log } = this.#options;
    try {
      const next = readMaterial(this.#options);
      if (next.cert === this.#current.cert && next.key === this.#current.key) return;
      this.#current = next;
      listener(next);
      log.info({ file }, 'the API has a new certificate');
    } catch (err) {
      log.warn({ err, file }, 'could not load the certificate of the API; keeping the present one');
    }
  }
}

function readMaterial({
  tlsCertificateFile,
  tlsKeyFile,
}: Pick<FileOptions, 'tlsCertificateFile' | 'tlsKeyFile'>): TlsMaterial {
  const cert = readPem(tlsCertificateFile, 'api.tlsCertificateFile', () => readFileSync(tlsCertificateFile));
  const key = readPem(tlsKeyFile, 'api.tlsKeyFile', () => readSecret(tlsKeyFile, { shared: true }));
  const leaf = parsed('api.tlsCertificateFile', tlsCertificateFile, () => new X509Certificate(cert));
  const privateKey = parsed('api.tlsKeyFile', tlsKeyFile, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) {
    throw invalid('api.tlsKeyFile', `${tlsKeyFile} is not the key of the certificate in ${tlsCertificateFile}`);
  }
  if (leaf.validToDate.getTime() <= Date.now()) {
    const dates = `${leaf.validFrom} to ${leaf.validTo}; the clock of this machine says ${new Date().toUTCString()}`;
    throw invalid('api.tlsCertificateFile', `the certificate in ${tlsCertificateFile} has expired: ${dates}`);
  }
  try {
    createSecureContext({ key, cert, minVersion: MINIMUM_TLS_VERSION });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid('api.tlsCertificateFile', `TLS cannot use the certificate in ${tlsCertificateFile}: ${why}`, cause);
  }
  return { key, cert };
}

function readPem(file: string, field: string, read: () => Buffer): string {
  try {
    return read().toString();
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw invalid(field, `cannot read ${file}`, cause);
  }
}

function parsed<Value>(field: string, file: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (cause) {
    throw invalid(field, `${file} holds no usable PEM`, cause);
  }
}

function invalid(field: string, why: string, cause?: unknown): IsthmusError {
  return new IsthmusError('CONFIG_INVALID', `${field}: ${why}`, { field, cause });
}
