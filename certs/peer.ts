// Who a peer is: read from the URI SAN of a certificate that TLS has verified against the mesh's authority.

export const roles = ['server', 'relay', 'mirror', 'tentacle'] as const;
export type Role = (typeof roles)[number];

export interface PeerIdentity {
  readonly meshId: string;
  readonly node: string;
  readonly role: Role;
  /** Upper-case hex, as X509Certificate prints it. */
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}
