// The settings of a relay, as `<data>/config.yaml` holds them.
import { Type, type Static } from 'typebox';
import { addressSetting, linkTimeoutSetting, listenSetting, parentsSetting } from '../lib/config/mesh-settings.ts';

export const relayConfigSchema = Type.Object(
  {
    listen: Type.Optional(listenSetting),
    address: Type.Optional(
      addressSetting('Where children reach that port, for join commands, when it is not where the relay listens.'),
    ),
    parents: parentsSetting,
    linkTimeoutS: Type.Optional(linkTimeoutSetting),
  },
  { additionalProperties: false },
);

export type RelaySettings = Static<typeof relayConfigSchema>;
