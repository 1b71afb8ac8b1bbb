// Original file: proto/isthmus/upgrade/v1/upgrade.proto

import type { PackageSource as _isthmus_topology_v1_PackageSource, PackageSource__Output as _isthmus_topology_v1_PackageSource__Output } from '../../../isthmus/topology/v1/PackageSource.ts';
import type { Long } from '@grpc/proto-loader';

export interface BeginRequest {
  /**
   * The same upgrade of a node has the same id, however often it is requested.
   */
  'id'?: (string);
  /**
   * The name of the tarball: `isthmus-VERSION-linux-ARCH.tar.gz`.
   */
  'tarball'?: (string);
  'sizeBytes'?: (number | string | Long);
  /**
   * The text of SHA256SUMS, which lists the tarball.
   */
  'sums'?: (string);
  /**
   * Of these sums: 64 bytes, Ed25519.
   */
  'signature'?: (Buffer | Uint8Array | string);
  /**
   * Where to fetch the tarball, nearest first, and the download token that allows it.
   */
  'sources'?: (_isthmus_topology_v1_PackageSource)[];
  'downloadToken'?: (string);
  /**
   * The host goes back without a confirmation for so long.
   */
  'confirmWithinS'?: (number);
}

export interface BeginRequest__Output {
  /**
   * The same upgrade of a node has the same id, however often it is requested.
   */
  'id': (string);
  /**
   * The name of the tarball: `isthmus-VERSION-linux-ARCH.tar.gz`.
   */
  'tarball': (string);
  'sizeBytes': (number);
  /**
   * The text of SHA256SUMS, which lists the tarball.
   */
  'sums': (string);
  /**
   * Of these sums: 64 bytes, Ed25519.
   */
  'signature': (Buffer);
  /**
   * Where to fetch the tarball, nearest first, and the download token that allows it.
   */
  'sources': (_isthmus_topology_v1_PackageSource__Output)[];
  'downloadToken': (string);
  /**
   * The host goes back without a confirmation for so long.
   */
  'confirmWithinS': (number);
}
