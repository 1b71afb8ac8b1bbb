// The settings of a tentacle, as `<data>/config.yaml` holds them.
import { Type, type Static } from 'typebox';
import { feedLoopbackSetting, linkTimeoutSetting, listenSetting, parentsSetting } from '../lib/config/mesh-settings.ts';

export const tentacleConfigSchema = Type.Object(
  {
    listen: Type.Optional(listenSetting),
    parents: parentsSetting,
    linkTimeoutS: Type.Optional(linkTimeoutSetting),
    feedLoopback: Type.Optional(feedLoopbackSetting),
    scriptUser: Type.Optional(
      Type.String({ description: 'The user that scripts run as; without it they run as the user of the agent.' }),
    ),
    installRoots: Type.Optional(
      Type.Array(Type.String({ pattern: '^/', expected: 'an absolute path, such as /srv' }), {
        description: 'Folders below which packages may be installed by `installTo`; none by default.',
      }),
    ),
    logQuotaBytes: Type.Optional(
      Type.Integer({ minimum: 1, description: 'The most that one script may write to its log.' }),
    ),
  },
  { additionalProperties: false },
);

export type TentacleSettings = Static<typeof tentacleConfigSchema>;
