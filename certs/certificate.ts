// Builds X.509 certificates. node-forge encodes them; node:crypto signs. Nothing is verified here: TLS and
// crypto.X509Certificate do that.
import { sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';

const SHA256_WITH_RSA = '1.2.840.113549.1.1.11';
interface CertificateRequest {
  readonly subject: string;
  /** Organizational unit of the subject. */
  readonly unit?: string | undefined;
  readonly publicKey: KeyObject;
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Record<string, unknown>[];
  readonly issuer: { readonly subject: string; readonly key: KeyObject };
}

/** Builds and signs a certificate; returns its PEM. */
export async function buildCertificate(request: CertificateRequest): Promise<string> {
  const certificate = forge.pki.createCertificate();
  const pem = request.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  certificate.publicKey = forge.pki.publicKeyFromPem(pem);
  certificate.serialNumber = request.serialNumber;
  certificate.validity.notBefore = new Date(request.notBeforeMs);
  certificate.validity.notAfter = new Date(request.notAfterMs);
  const unit = request.unit === undefined ? [] : [{ name: 'organizationalUnitName', value: request.unit }];
  certificate.setSubject([{ name: 'commonName', value: request.subject }, ...unit]);
  certificate.setIssuer([{ name: 'commonName', value: request.issuer.subject }]);
  certificate.setExtensions([...request.extensions]);
  await signCertificate(certificate, request.issuer.key);
  return forge.pki.certificateToPem(certificate).replaceAll('\r', '');
}

/** As `certificate.sign`, but node:crypto signs: forge never gets the private key, and RSA in JavaScript is slow. */
async function signCertificate(certificate: forge.pki.Certificate, key: KeyObject): Promise<void> {
  const unsigned = certificate as forge.pki.Certificate & { tbsCertificate: forge.asn1.Asn1 };
  unsigned.signatureOid = SHA256_WITH_RSA;
  unsigned.siginfo.algorithmOid = SHA256_WITH_RSA;
  unsigned.tbsCertificate = encodeTbs(certificate);
  const bytes = Buffer.from(forge.asn1.toDer(unsigned.tbsCertificate).getBytes(), 'binary');
  const signature = await promisify<string, Buffer, KeyObject, Buffer>(sign)('sha256', bytes, key);
  unsigned.signature = signature.toString('binary');
}

/** The part that is signed. forge exports the function, but its types lack it. */
function encodeTbs(certificate: forge.pki.Certificate): forge.asn1.Asn1 {
  const pki = forge.pki as typeof forge.pki & { getTBSCertificate(c: forge.pki.Certificate): forge.asn1.Asn1 };
  return pki.getTBSCertificate(certificate);
}
