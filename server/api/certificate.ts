// Which certificate the API shows, if any. API keys travel in requests, so only two paths are without TLS: on loopback,
// where nobody stands in between, and where a setting says that a proxy in front does it. Else it is the certificate
// that the operator gives, or the server's own of the mesh.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server as TlsServer } from 'node:tls';
import type { FastifyServerOptions } from 'fastify';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { HostPort } from '../../lib/net/host-port.ts';
import { isLoopback } from '../../lib/net/network-address.ts';
import type { ApiInstance } from './context.ts';

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

/** A certificate that changes: the listener is told of every new one until the answer is called. */
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

/** Certificates of public authorities are renewed weeks before they end. */
const LOOK_AGAIN_EVERY_MS = 60_000;

/**
 * The certificate for an address, undefined where the API is plain HTTP. CONFIG_INVALID for settings that contradict.
 */
export function certificateFor(
  { host }: HostPort,
  { tlsCertificateFile, tlsKeyFile, behindTlsProxy = false }: ApiTlsConfig,
  identity: MeshIdentity,
  log: Logger,
  lookAgainEveryMs = LOOK_AGAIN_EVERY_MS,
): CertificateSource | undefined {
  if (tlsCertificateFile !== undefined && tlsKeyFile !== undefined) {
    if (behindTlsProxy) throw invalid('api.behindTlsProxy', 'a proxy does TLS, or the API does with the certificate');
    return new FileCertificate({ tlsCertificateFile, tlsKeyFile, log, lookAgainEveryMs });
  }
  if (tlsCertificateFile !== undefined) throw invalid('api.tlsKeyFile', 'api.tlsCertificateFile needs its key');
  if (tlsKeyFile !== undefined) throw invalid('api.tlsCertificateFile', 'api.tlsKeyFile needs its certificate');
  return behindTlsProxy || isLoopback(host) ? undefined : meshCertificate(identity);
}

/** Fastify's options for it. */
export function serverOptionsFor(source: CertificateSource | undefined): FastifyServerOptions {
  return source === undefined ? {} : ({ https: tlsOptions(source.current()) } as FastifyServerOptions);
}

/** Shows a renewed certificate from the next handshake on; the answer stops that. */
export function followCertificate(app: ApiInstance, source: CertificateSource | undefined): () => void {
  if (source === undefined) return () => undefined;
  return source.onChange((next) => (app.server as unknown as TlsServer).setSecureContext(tlsOptions(next)));
}

function tlsOptions(material: TlsMaterial) {
  return { ...material, minVersion: 'TLSv1.3' as const };
}

/** The chain holds the authority too, so that a client that has only its fingerprint can check it. */
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
  readonly lookAgainEveryMs: number;
}

/**
 * The operator's, read again and again. Files that do not fit each other, as in the middle of a renewal, change
 * nothing.
 */
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
    const timer = setInterval(() => this.#look(listener), this.#options.lookAgainEveryMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  #look(listener: (next: TlsMaterial) => void): void {
    const { tlsCertificateFile: file, log } = this.#options;
    try {
      const next = readMaterial(this.#options);
      if (next.cert === this.#current.cert && next.key === this.#current.key) return;
      this.#current = next;
      listener(next);
      log.info({ file }, 'the API has a new certificate');
    } catch (err) {
      log.warn({ err, file }, 'the certificate of the API stays as it is');
    }
  }
}

function readMaterial({
  tlsCertificateFile,
  tlsKeyFile,
}: Pick<FileOptions, 'tlsCertificateFile' | 'tlsKeyFile'>): TlsMaterial {
  const cert = readPem(tlsCertificateFile, 'api.tlsCertificateFile');
  const key = readPem(tlsKeyFile, 'api.tlsKeyFile');
  const leaf = parsed('api.tlsCertificateFile', tlsCertificateFile, () => new X509Certificate(cert));
  const privateKey = parsed('api.tlsKeyFile', tlsKeyFile, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) {
    throw invalid('api.tlsKeyFile', `${tlsKeyFile} is not the key of the certificate in ${tlsCertificateFile}`);
  }
  if (leaf.validToDate.getTime() <= Date.now()) {
    throw invalid('api.tlsCertificateFile', `the certificate in ${tlsCertificateFile} ended at ${leaf.validTo}`);
  }
  return { key, cert };
}

function readPem(file: string, field: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw invalid(field, `cannot read ${file}`, cause);
  }
}

function parsed<Value>(field: string, file: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (cause) {
    throw invalid(field, `${file} holds nothing in PEM that could be used`, cause);
  }
}

function invalid(field: string, why: string, cause?: unknown): IsthmusError {
  return new IsthmusError('CONFIG_INVALID', `${field}: ${why}`, { field, cause });
}
