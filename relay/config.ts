// The settings of a relay, as `<data>/config.yaml` holds them.
import { Type, type Static } from 'typebox';
import { listenSetting, parentsSetting } from '../lib/config/mesh-settings.ts';

export const relayConfigSchema = Type.Object(
  { listen: Type.Optional(listenSetting), parents: parentsSetting },
  { additionalProperties: false },
);

export type RelaySettings = Static<typeof relayConfigSchema>;
