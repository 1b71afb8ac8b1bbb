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
    feedListen: Type.Optional(addressSetting('Where targets of the site fetch packages over HTTPS: host:port.')),
    feedUrl: Type.Optional(Type.String({ description: 'How targets reach feedListen, when its address is another.' })),
    quotaBytes: Type.Optional(Type.Integer({ minimum: 1, description: 'What the cache may take up.' })),
    minFreeBytes: Type.Optional(Type.Integer({ minimum: 0, description: 'What the cache leaves free on the disk.' })),
  },
  { additionalProperties: false },
);

export type MirrorSettings = Static<typeof mirrorConfigSchema>;
