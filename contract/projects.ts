// Projects and their process: an ordered list of steps, each a script or a package.
import { Type, type Static, type TSchema } from 'typebox';
import { PackageId } from './packages.ts';
import { ABSOLUTE_PATH_PATTERN, ACCOUNT_PATTERN, FILE_MODE_PATTERN, FOLDER_MODE_PATTERN } from './patterns.ts';
import { Closed, Line, List, OneOf, PageOf, Slug, Text, Timestamp, Version, Words } from './schema.ts';
import { Interpreter, LONGEST_DEADLINE_S } from './tasks.ts';
import { WarmSetting } from './warm-setting.ts';
import { TEXT_ENCODINGS } from './text-encodings.ts';

export const MOST_STEPS = 100;

/** The most characters of a pattern that names files, and the most bytes. */
export const LONGEST_FILE_PATTERN = 300;
const MOST_FILE_PATTERNS = 100;

const StepScript = Type.Object({ interpreter: Type.String(), body: Type.String() }, { $id: 'StepScript' });
export type StepScript = Static<typeof StepScript>;

const SHOWN = { name: Slug, targetRoles: List(Slug), timeLimitS: Type.Optional(Type.Integer()) };

/** When a script step runs, and where, if not on its machines after acquisition. */
const STAGE_FIELDS = {
  stage: Type.Optional(
    Words(['beforeAcquisition'], {
      description: 'It runs before any package is fetched. Such steps stand first in the process.',
    }),
  ),
  machine: Type.Optional({
    ...Slug,
    description:
      'With `stage`: it runs once, on this machine of the environment, for all; without its success none goes on.',
  }),
};

const ScriptStep = Type.Object(
  { ...SHOWN, kind: Type.Literal('script'), ...STAGE_FIELDS, script: StepScript },
  { $id: 'ScriptStep' },
);
export type ScriptStep = Static<typeof ScriptStep>;

const Encoding = Words(TEXT_ENCODINGS, { description: 'That of files without a byte order mark; `utf-8` otherwise.' });

/** Who owns the files of a package on its machines, and where they are copied to. */
const FILE_FIELDS = {
  unpack: Type.Optional(
    Type.Boolean({
      description: 'Unpacks a jar, war or whl, which is otherwise one file under its name. No `file` can be.',
    }),
  ),
  owner: Type.Optional(
    Type.String({ pattern: ACCOUNT_PATTERN, description: 'The user that owns the files; the script user otherwise.' }),
  ),
  group: Type.Optional(
    Type.String({ pattern: ACCOUNT_PATTERN, description: 'Their group; that of their owner otherwise.' }),
  ),
  fileMode: Type.Optional(
    Type.String({
      pattern: FILE_MODE_PATTERN,
      description: 'Octal permissions of the files instead of those in the package; programs stay executable.',
    }),
  ),
  folderMode: Type.Optional(
    Type.String({ pattern: FOLDER_MODE_PATTERN, description: 'Octal permissions of the folders.' }),
  ),
  installTo: Type.Optional(
    Type.String({
      pattern: ABSOLUTE_PATH_PATTERN,
      maxLength: 1000,
      description: 'A folder that gets a copy of the release, below one of the `installRoots` of the tentacle.',
    }),
  ),
};

/** Where the machines of a package step get it. */
const SOURCE_FIELDS = {
  feed: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'A package source, a mirror or `server`, which is asked first; may be a variable: `#{Feed}`.',
    }),
  ),
  push: Type.Optional(
    Type.Boolean({
      description: 'Its machines may not fetch: the server opens the streams to them, through the mesh.',
    }),
  ),
};

const PackageStep = Type.Object(
  {
    ...SHOWN,
    kind: Type.Literal('package'),
    package: Type.Object({ id: PackageId }),
    ...SOURCE_FIELDS,
    preDeploy: Type.Optional(StepScript),
    postDeploy: Type.Optional(StepScript),
    substituteIn: Type.Optional(
      List(Type.Union([Type.String(), Type.Object({ files: Type.String(), encoding: Encoding })])),
    ),
    ...FILE_FIELDS,
  },
  { $id: 'PackageStep' },
);
export type PackageStep = Static<typeof PackageStep>;

/** A step as it is stored and answered. */
export const ProcessStep = OneOf('kind', [ScriptStep, PackageStep], { $id: 'ProcessStep' });
export type ProcessStep = Static<typeof ProcessStep>;

export const NewStepScript = Closed(
  { interpreter: Type.Optional(Interpreter), body: Type.String({ minLength: 1 }) },
  { $id: 'NewStepScript' },
);

/** The fields common to all steps as they are sent, except `kind`. */
export const STEP_FIELDS = {
  name: Slug,
  targetRoles: Type.Optional(List(Slug, { maxItems: 100, description: 'Empty or absent: every machine.' })),
  timeLimitS: Type.Optional(Type.Integer({ minimum: 1, maximum: LONGEST_DEADLINE_S })),
};

export const NewScriptStep = Closed(
  { ...STEP_FIELDS, kind: Type.Literal('script'), ...STAGE_FIELDS, script: NewStepScript },
  { $id: 'NewScriptStep' },
);

/** A pattern of files in which variables are substituted. */
export const FilePattern = Type.String({ minLength: 1, maxLength: LONGEST_FILE_PATTERN });

/** The files in which variables are substituted, each as `pattern`, alone or with an encoding. */
export function substitutionRules<Pattern extends TSchema>(pattern: Pattern) {
  return List(Type.Union([pattern, Closed({ files: pattern, encoding: Encoding })]), {
    maxItems: MOST_FILE_PATTERNS,
    description:
      'Files below the root of the package in which variables are substituted; `*` in a name matches any text, `**` any ' +
      'folders. The first that matches a file says its encoding.',
  });
}

export const NewPackageStep = Closed(
  {
    ...STEP_FIELDS,
    kind: Type.Literal('package'),
    package: Closed({ id: PackageId }),
    ...SOURCE_FIELDS,
    preDeploy: Type.Optional(NewStepScript),
    postDeploy: Type.Optional(NewStepScript),
    substituteIn: Type.Optional(substitutionRules(FilePattern)),
    ...FILE_FIELDS,
  },
  { $id: 'NewPackageStep' },
);

/** A step as it is sent. */
export const NewProcessStep = OneOf('kind', [NewScriptStep, NewPackageStep], { $id: 'NewProcessStep' });
export type NewProcessStep = Static<typeof NewProcessStep>;

const steps = List(NewProcessStep, { maxItems: MOST_STEPS });

export const NewProcess = Closed({ steps }, { $id: 'NewProcess' });

export const Project = Type.Object(
  {
    id: Slug,
    name: Type.String(),
    description: Type.String(),
    process: List(ProcessStep),
    /** Servers before 0.2.0 have none. */
    warm: Type.Optional(WarmSetting),
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
  { name: Type.Optional(Line), description: Type.Optional(Text), warm: Type.Optional(WarmSetting) },
  { $id: 'ProjectPatch' },
);
