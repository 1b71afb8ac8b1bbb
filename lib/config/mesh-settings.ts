// Settings that every component below the server has: its port, parents and link timeout.
import { Type } from 'typebox';
import { HOST_PORT_PATTERN } from '../../contract/patterns.ts';
import { isNetwork } from '../net/network-address.ts';

/** A setting that is `host:port`, with an IPv6 host in brackets. */
export function addressSetting(description: string) {
  return Type.String({ pattern: HOST_PORT_PATTERN, description, expected: 'host:port, such as [::]:8444' });
}

/** A setting that lists addresses or networks. */
export function networksSetting(description: string) {
  const network = Type.Refine(Type.String(), isNetwork, () => 'must be an address or a network, such as 10.0.0.0/8');
  return Type.Array(network, { maxItems: 100, description });
}

export const listenSetting = addressSetting(
  'Where children, and a parent that dials this node, connect to: host:port.',
);

export const linkTimeoutSetting = Type.Integer({
  minimum: 3,
  maximum: 600,
  description: 'Silence after which a link counts as lost, in seconds (default 15).',
});

export const feedLoopbackSetting = Type.Boolean({
  description: 'Whether packages may come from an open port on this machine: true or false.',
});

export const parentsSetting = Type.Array(
  Type.Object(
    {
      node: Type.String({ description: 'The node id of the parent, or `server`.' }),
      address: Type.Optional(addressSetting('Where to dial it; without this it dials this node.')),
    },
    { additionalProperties: false },
  ),
  { minItems: 1, description: 'The nodes this one is a child of.' },
);
