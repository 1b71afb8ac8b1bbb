// Projects and their process: an ordered list of steps, each a script or a package.
import { Type, type Static } from 'typebox';
import { Closed, Line, List, OneOf, PageOf, Slug, Text, Timestamp, Version } from './schema.ts';

const TimeLimitS = Type.Optional(Type.Integer({ minimum: 1, maximum: 7 * 86_400 }));

const StepScript = Type.Object({ interpreter: Type.String(), body: Type.String() }, { $id: 'StepScript' });

const SHOWN = { name: Slug, targetRoles: List(Slug), timeLimitS: Type.Optional(Type.Integer()) };

const ScriptStep = Type.Object({ ...SHOWN, kind: Type.Literal('script'), script: StepScript }, { $id: 'ScriptStep' });

const PackageStep = Type.Object(
  {
    ...SHOWN,
    kind: Type.Literal('package'),
    package: Type.Object({ id: Type.String() }),
    preDeploy: Type.Optional(StepScript),
    postDeploy: Type.Optional(StepScript),
    substituteIn: Type.Optional(List(Type.String())),
  },
  { $id: 'PackageStep' },
);

/** A step as it is stored and answered. */
export const ProcessStep = OneOf('kind', [ScriptStep, PackageStep], { $id: 'ProcessStep' });
export type ProcessStep = Static<typeof ProcessStep>;

const NewStepScript = Closed(
  {
    interpreter: Type.Optional(Type.String({ minLength: 1, maxLength: 50, description: '`bash` when absent.' })),
    body: Type.String({ minLength: 1 }),
  },
  { $id: 'NewStepScript' },
);

const REQUESTED = {
  name: Slug,
  targetRoles: Type.Optional(List(Slug, { maxItems: 100, description: 'Empty or absent: every machine.' })),
  timeLimitS: TimeLimitS,
};

const NewScriptStep = Closed(
  { ...REQUESTED, kind: Type.Literal('script'), script: NewStepScript },
  { $id: 'NewScriptStep' },
);

const NewPackageStep = Closed(
  {
    ...REQUESTED,
    kind: Type.Literal('package'),
    package: Closed({ id: Type.String({ minLength: 1, maxLength: 100 }) }),
    preDeploy: Type.Optional(NewStepScript),
    postDeploy: Type.Optional(NewStepScript),
    substituteIn: Type.Optional(
      List(Type.String({ minLength: 1, maxLength: 300 }), {
        maxItems: 100,
        description:
          'Files below the root of the package in which variables are substituted; `*` in a name matches any text.',
      }),
    ),
  },
  { $id: 'NewPackageStep' },
);

/** A step as it is sent. */
export const NewProcessStep = OneOf('kind', [NewScriptStep, NewPackageStep], { $id: 'NewProcessStep' });
export type NewProcessStep = Static<typeof NewProcessStep>;

const steps = List(NewProcessStep, { maxItems: 100 });

export const NewProcess = Closed({ steps }, { $id: 'NewProcess' });

export const Project = Type.Object(
  {
    id: Slug,
    name: Type.String(),
    description: Type.String(),
    process: List(ProcessStep),
    version: Version,
    createdAt: Timestamp,
  },
  { $id: 'Project' },
);
export type Project = Static<typeof Project>;

export const ProjectPage = PageOf(Project, 'ProjectPage');

export const NewProject = Closed(
  { id: Slug, name: Type.Optional(Line), description: Type.Optional(Text), steps: Type.Optional(steps) },
  { $id: 'NewProject' },
);

export const ProjectPatch = Closed(
  { name: Type.Optional(Line), description: Type.Optional(Text) },
  { $id: 'ProjectPatch' },
);
