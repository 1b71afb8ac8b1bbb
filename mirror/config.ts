// The settings of a mirror, as `<data>/config.yaml` holds them.
import { Type, type Static } from 'typebox';
import {
  addressSetting,
  feedLoopbackSetting,
  linkTimeoutSetting,
  listenSetting,
  parentsSetting,
} from '../lib/config/mesh-settings.ts';

export const mirrorConfigSchema = Type.Object(
  {
    listen: Type.Optional(listenSetting),
    parents: parentsSetting,
    linkTimeoutS: Type.Optional(linkTimeoutSetting),
    feedLoopback: Type.Optional(feedLoopbackSetting),
    feedListen: Type.Optional(
      addressSetting('The address where targets of the site fetch packages over HTTPS: host:port.'),
    ),
    feedUrl: Type.Optional(
      Type.String({ description: 'The URL at which targets reach feedListen, when it differs from that address.' }),
    ),
    quotaBytes: Type.Optional(Type.Integer({ minimum: 1, description: 'The most disk that the cache may use.' })),
    lowWaterPercent: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: 100,
        description: 'How far the cache is emptied once it is full, in per cent of quotaBytes; 90 without it.',
      }),
    ),
    minFreeBytes: Type.Optional(Type.Integer({ minimum: 0, description: 'How much free disk the cache must leave.' })),
  },
  { additionalProperties: false },
);

export type MirrorSettings = Static<typeof mirrorConfigSchema>;
