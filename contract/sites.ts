// Sites and environments: an id, a display name and a description.
import { Type, type Static } from 'typebox';
import { Closed, Line, PageOf, Slug, Text, Timestamp, Version } from './schema.ts';

const SHOWN = {
  id: Slug,
  name: Type.String(),
  description: Type.String(),
  version: Version,
  createdAt: Timestamp,
};
const CHANGEABLE = { name: Type.Optional(Line), description: Type.Optional(Text) };

export const Site = Type.Object(SHOWN, { $id: 'Site' });
export type Site = Static<typeof Site>;
export const SitePage = PageOf(Site, 'SitePage');
export const NewSite = Closed({ id: Slug, ...CHANGEABLE }, { $id: 'NewSite' });
export const SitePatch = Closed(CHANGEABLE, { $id: 'SitePatch' });

export const Environment = Type.Object(SHOWN, { $id: 'Environment' });
export type Environment = Static<typeof Environment>;
export const EnvironmentPage = PageOf(Environment, 'EnvironmentPage');
export const NewEnvironment = Closed({ id: Slug, ...CHANGEABLE }, { $id: 'NewEnvironment' });
export const EnvironmentPatch = Closed(CHANGEABLE, { $id: 'EnvironmentPatch' });
