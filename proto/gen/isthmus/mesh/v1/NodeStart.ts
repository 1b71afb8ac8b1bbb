// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Which start of its process a node is. Two processes of one node id are told apart by it. Servers tell none.
 */
export interface NodeStart {
  /**
   * How many starts of this data folder have been told to others, with this one.
   */
  'count'?: (number | string | Long);
  /**
   * One random nonce of 8 bytes for each start, this one first. A server gets them all, every other node the first.
   */
  'nonces'?: (Buffer | Uint8Array | string)[];
  'hostname'?: (string);
  /**
   * How many of the nonces, newest first, are of this very folder since the machine's last boot: this process has all
   * that they have written. Older ones may be of a folder that this one is a copy of.
   */
  'ofThisFolder'?: (number);
}

/**
 * Which start of its process a node is. Two processes of one node id are told apart by it. Servers tell none.
 */
export interface NodeStart__Output {
  /**
   * How many starts of this data folder have been told to others, with this one.
   */
  'count': (number);
  /**
   * One random nonce of 8 bytes for each start, this one first. A server gets them all, every other node the first.
   */
  'nonces': (Buffer)[];
  'hostname': (string);
  /**
   * How many of the nonces, newest first, are of this very folder since the machine's last boot: this process has all
   * that they have written. Older ones may be of a folder that this one is a copy of.
   */
  'ofThisFolder': (number);
}
