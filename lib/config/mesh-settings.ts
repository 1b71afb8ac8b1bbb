// Settings that every part below the server has: its one port, and its parents.
import { Type } from 'typebox';

const address = '^(\\[[0-9a-fA-F:.]+\\]|[^\\s:\\[\\]]+):\\d{1,5}$';

/** `host:port`, with an IPv6 host in brackets. */
export function addressSetting(description: string) {
  return Type.String({ pattern: address, description });
}

export const listenSetting = addressSetting(
  'Where children and, when it is dialled, its parent connect to: host:port.',
);

export const parentsSetting = Type.Array(
  Type.Object(
    {
      node: Type.String({ description: 'The node id of the parent, or `server`.' }),
      address: Type.Optional(addressSetting('Where to dial it; without this it dials us.')),
    },
    { additionalProperties: false },
  ),
  { minItems: 1, description: 'The nodes this one is a child of.' },
);
