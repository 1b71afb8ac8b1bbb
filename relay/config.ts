// The settings of a relay, as `<data>/config.yaml` holds them.
import { Type, type Static } from 'typebox';
import { addressSetting, linkTimeoutSetting, listenSetting, parentsSetting } from '../lib/config/mesh-settings.ts';

export const relayConfigSchema = Type.Object(
  {
    listen: Type.Optional(listenSetting),
    address: Type.Optional(
      addressSetting(
        'The address of the listening port for children, in join commands, when it differs from `listen`.',
      ),
    ),
    parents: parentsSetting,
    linkTimeoutS: Type.Optional(linkTimeoutSetting),
  },
  { additionalProperties: false },
);

export type RelaySettings = Static<typeof relayConfigSchema>;
