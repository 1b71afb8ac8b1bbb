// Deployments: a task installs a release in an environment.
import { Type, type Static } from 'typebox';
import { ReleaseVersion } from './releases.ts';
import { Closed, ListQuery, PageOf, Slug, Timestamp, Words } from './schema.ts';
import { DeadlineS } from './tasks.ts';

export const Deployment = Type.Object(
  {
    id: Type.String(),
    project: Slug,
    release: Type.String({ description: 'The id of the release, also of one that has been deleted.' }),
    version: ReleaseVersion,
    environment: Slug,
    task: Type.String(),
    createdAt: Timestamp,
  },
  { $id: 'Deployment' },
);
export type Deployment = Static<typeof Deployment>;

export const DeploymentPage = PageOf(Deployment, 'DeploymentPage');

export const DeploymentQuery = ListQuery({ project: Type.Optional(Slug), environment: Type.Optional(Slug) });

export const NewDeployment = Closed(
  {
    project: Slug,
    release: ReleaseVersion,
    environment: Slug,
    deadlineS: Type.Optional(DeadlineS),
    whenReady: Type.Optional(
      Type.Boolean({ description: 'Whether it warms the mirrors of its sites, and waits for them.' }),
    ),
    unreachable: Type.Optional(
      Words(['fail', 'skip'], { description: 'What to do with machines that do not answer; `fail` when absent.' }),
    ),
  },
  { $id: 'NewDeployment' },
);
export type NewDeployment = Static<typeof NewDeployment>;
