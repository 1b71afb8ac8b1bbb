// When the releases of a project are fetched to mirrors before they are deployed.
import { Type, type Static } from 'typebox';
import { Closed, Slugs, Words } from './schema.ts';

export const BytesPerS = Type.Integer({
  minimum: 1024,
  maximum: 1_000_000_000_000,
  description: 'The most bytes a second that each mirror fetches.',
});

const TimeOfDay = Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$', description: 'HH:MM in UTC.' });

export const WarmSetting = Closed(
  {
    on: Words(['release', 'promotion', 'never'], {
      description:
        '`release`: when a release is created. `promotion`: when a deployment of it to an environment has succeeded, ' +
        'for the environments after that one.',
    }),
    environments: Type.Optional(Slugs),
    window: Type.Optional(Closed({ from: TimeOfDay, to: TimeOfDay })),
    maxBytesPerS: Type.Optional(BytesPerS),
  },
  { $id: 'WarmSetting', description: 'Of all environments when it names none; else in their order.' },
);
export type WarmSetting = Static<typeof WarmSetting>;
