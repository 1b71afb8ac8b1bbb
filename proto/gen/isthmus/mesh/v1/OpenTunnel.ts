// Original file: proto/isthmus/mesh/v1/link.proto

import type { ServiceClass as _isthmus_mesh_v1_ServiceClass, ServiceClass__Output as _isthmus_mesh_v1_ServiceClass__Output } from '../../../isthmus/mesh/v1/ServiceClass.ts';

export interface OpenTunnel {
  'tunnelId'?: (Buffer | Uint8Array | string);
  'source'?: (string);
  /**
   * A node id, or "server" for any node of that role.
   */
  'destination'?: (string);
  /**
   * The relays still to cross, next first.
   */
  'path'?: (string)[];
  /**
   * The nodes already crossed, each once; its length is the hop count.
   */
  'crossed'?: (string)[];
  'service'?: (string);
  'serviceClass'?: (_isthmus_mesh_v1_ServiceClass);
  'deadlineMs'?: (number);
  /**
   * The address of the source, as the first node that it crosses sees it.
   */
  'sourceAddress'?: (string);
}

export interface OpenTunnel__Output {
  'tunnelId': (Buffer);
  'source': (string);
  /**
   * A node id, or "server" for any node of that role.
   */
  'destination': (string);
  /**
   * The relays still to cross, next first.
   */
  'path': (string)[];
  /**
   * The nodes already crossed, each once; its length is the hop count.
   */
  'crossed': (string)[];
  'service': (string);
  'serviceClass': (_isthmus_mesh_v1_ServiceClass__Output);
  'deadlineMs': (number);
  /**
   * The address of the source, as the first node that it crosses sees it.
   */
  'sourceAddress': (string);
}
