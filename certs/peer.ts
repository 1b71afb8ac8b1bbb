// The identity of a peer: read from the URI SAN of a certificate that is verified against the mesh's authority.
import type { X509Certificate } from 'node:crypto';
import { NODE_ROLES, type NodeRole } from '../contract/nodes.ts';
import { isSlug } from '../lib/ids.ts';

export interface PeerIdentity {
  readonly meshId: string;
  readonly node: string;
  readonly role: NodeRole;
  /** Upper-case hex, as X509Certificate prints it. */
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** It has enrolled but not confirmed yet; it may only confirm. */
  readonly provisional?: true;
}

/** The subject's unit in a certificate that is valid only to confirm an enrolment. */
export const PROVISIONAL_UNIT = 'provisional';

/** The URI that names a node in its certificate. */
export function identityUri({ meshId, role, node }: Pick<PeerIdentity, 'meshId' | 'role' | 'node'>): string {
  return `isthmus://${meshId}/${role}/${node}`;
}

const SAN_PATTERN = /^URI:isthmus:\/\/([a-z0-9-]{1,63})\/([a-z]+)\/([a-z0-9-]+)$/;

/** Reads the identity in a certificate; undefined unless its SAN has exactly our form. Verifies nothing. */
export function readIdentity(certificate: X509Certificate): PeerIdentity | undefined {
  const [, meshId, role, node] = SAN_PATTERN.exec(certificate.subjectAltName ?? '') ?? [];
  if (meshId === undefined || role === undefined || node === undefined) return undefined;
  if (!isNodeRole(role) || !isSlug(node)) return undefined;
  const provisional = certificate.subject.split('\n').includes(`OU=${PROVISIONAL_UNIT}`);
  return {
    ...(provisional ? { provisional } : {}),
    meshId,
    node,
    role,
    serialNumber: certificate.serialNumber,
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
}

/** Whether a string is the name of a role. */
export function isNodeRole(name: string): name is NodeRole {
  return (NODE_ROLES as readonly string[]).includes(name);
}
