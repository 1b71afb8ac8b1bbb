// The settings of a server in `<data>/config.yaml`.
import { Type } from 'typebox';
import { addressSetting, linkTimeoutSetting, networksSetting } from '../lib/config/mesh-settings.ts';

/** How often every machine is checked when the configuration does not say. */
export const HEALTH_CHECK_INTERVAL_S = 300;

export const serverConfigSchema = Type.Object(
  {
    mesh: Type.Object(
      {
        listen: addressSetting('Where nodes connect to: host:port.'),
        address: Type.Optional(
          addressSetting('Where nodes reach that port (host:port), for join commands, when it is another address.'),
        ),
        linkTimeoutS: Type.Optional(linkTimeoutSetting),
      },
      { additionalProperties: false },
    ),
    api: Type.Object(
      {
        listen: addressSetting('Where the API listens: host:port.'),
        tlsCertificateFile: Type.Optional(
          Type.String({ description: "The API's certificate (PEM, leaf first), when it is not the mesh's." }),
        ),
        tlsKeyFile: Type.Optional(Type.String({ description: 'The private key of that certificate (PEM).' })),
        behindTlsProxy: Type.Optional(
          Type.Boolean({ description: 'Plain HTTP beyond loopback too: a proxy in front terminates TLS.' }),
        ),
        trustedProxies: Type.Optional(
          networksSetting('Addresses or networks of proxies whose X-Forwarded-For is trusted to name the client.'),
        ),
      },
      { additionalProperties: false },
    ),
    healthCheckIntervalS: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 604_800,
        // So often that one round would not end before the next.
        not: { type: 'integer', minimum: 1, maximum: 4 },
        description: 'How often every machine is checked, in seconds, at least 5; 0 for never (default 300).',
        expected: 'a plain number of seconds, without a unit: 0 for never, or 5 to 604800',
      }),
    ),
    cancelTimeoutS: Type.Optional(
      Type.Integer({
        minimum: 5,
        maximum: 86_400,
        description: 'How long a cancel waits for a machine that does not answer, in seconds; 60 without it.',
      }),
    ),
    logQuotaBytes: Type.Optional(
      Type.Integer({ minimum: 1024, description: 'How much log the server keeps of one script, in bytes.' }),
    ),
    keepPackageVersions: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: 'How many versions of each package stay, beside those in use; all of them without it.',
      }),
    ),
    retentionDays: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 36_500,
        description: 'How many days the logs and tickets of ended tasks are kept; 30 without it.',
      }),
    ),
    masterKeyFile: Type.Optional(
      Type.String({ description: 'Where the master key is, when it is not <data>/master.key.' }),
    ),
  },
  { additionalProperties: false },
);
