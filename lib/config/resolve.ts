// Resolves settings once, at the edge: command option, then environment variable, then file, then default; else an error
// that names the field and the variable. Nothing deeper reads any of the four.
import type { Static, TObject } from 'typebox';
import { Value } from 'typebox/value';
import { IsthmusError } from '../../contract/errors.ts';
import { envVariable } from './env.ts';
import { parseSettings, type SettingsFile } from './file.ts';
import { requirementOf, unitOf } from './requirements.ts';
import { expectedAt, keysAt, settingsOf, type Setting } from './schema.ts';
import { didYouMean } from './suggest.ts';

interface Sources {
  /** The settings file's name and text; undefined when there is none. */
  readonly file?: { readonly name: string; readonly text: string } | undefined;
  /** Values from the command line, by setting path. */
  readonly options?: Readonly<Record<string, string | undefined>>;
  /** Reads an environment variable; another one only in tests. */
  readonly env?: (name: string) => string | undefined;
}

interface Problem {
  readonly instancePath: string;
  readonly keyword: string;
  readonly message: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** A word from the command line or environment, converted to the setting's type where it has the form of one. */
function fromWord(setting: Setting, word: string): unknown {
  if (setting.type === 'boolean' && (word === 'true' || word === 'false')) return word === 'true';
  const isNumber = setting.type === 'integer' || setting.type === 'number';
  return isNumber && /^-?\d{1,15}(\.\d+)?$/.test(word) ? Number(word) : word;
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key];
  const next = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
  target[key] = next;
  assign(next, rest, value);
}

/** What the value must be, in words; a number's unit is in the setting's name. */
function expected(problem: Problem, schema: TObject, path: readonly string[]): string {
  const inWords = expectedAt(schema, path);
  if (inWords !== undefined) return `must be ${inWords}`;
  const name = path.at(-1) ?? '';
  const unit = unitOf(name);
  const isNumeric = problem.keyword === 'type' && /integer|number/.test(String(problem.params['type']));
  if (isNumeric && unit !== undefined) return `must be a plain number of ${unit}, without a unit`;
  return requirementOf(problem, name);
}

/** Where a wrong value came from; begins the error message. */
type Origin = (path: readonly string[]) => string;

function describe(
  problem: Problem,
  schema: TObject,
  origin: Origin,
  settings: readonly Setting[],
): { text: string; field: string } {
  const path = problem.instancePath.split('/').slice(1);
  if (problem.keyword === 'boolean') {
    const key = path.at(-1) ?? '';
    const known = keysAt(schema, path.slice(0, -1));
    return {
      text: `${origin(path)}: "${path.join('.')}" is not a setting${didYouMean(key, known)}`,
      field: path.join('.'),
    };
  }
  if (problem.keyword === 'required') {
    const missing = (problem.params['requiredProperties'] as readonly string[] | undefined) ?? [];
    const field = [...path, missing[0] ?? ''].join('.');
    const setting = settings.find((candidate) => candidate.path === field);
    const how = setting === undefined ? '' : ` (set it there, or with --${setting.option}, or in ${setting.variable})`;
    return { text: `${origin(path)}: "${field}" is missing${how}`, field };
  }
  if (path.length === 0) return { text: `${origin(path)}: settings are "key: value", one a line or in { }`, field: '' };
  const field = path.join('.');
  return { text: `${origin(path)}: "${field}" ${expected(problem, schema, path)}`, field };
}

function problemsOf(schema: TObject, value: unknown): Problem[] {
  const all = Value.Errors(schema, value) as readonly Problem[];
  // `additionalProperties` repeats the `boolean` error of each unknown key.
  return all.filter((problem) => problem.keyword !== 'additionalProperties');
}

/** Merges the four sources and checks the result against the component's schema; throws CONFIG_INVALID. */
export function resolveConfig<Schema extends TObject>(schema: Schema, sources: Sources): Static<Schema> {
  const env = sources.env ?? envVariable;
  const settings = settingsOf(schema);
  const file: SettingsFile | undefined = sources.file && parseSettings(sources.file.text, sources.file.name);
  const merged = structuredClone(file?.value ?? {}) as Record<string, unknown>;
  const words = new Map<string, string>();
  for (const setting of settings) {
    const option = sources.options?.[setting.path];
    const word = option ?? env(setting.variable);
    if (word === undefined) continue;
    words.set(setting.path, option === undefined ? setting.variable : `--${setting.option}`);
    if (typeof merged === 'object' && !Array.isArray(merged))
      assign(merged, setting.path.split('.'), fromWord(setting, word));
  }
  const origin: Origin = (path) =>
    words.get(path.join('.')) ?? (file === undefined ? 'the settings' : `${file.name}:${file.lineOf(path)}`);
  const filled = Value.Default(schema, merged);
  const problems = problemsOf(schema, filled).map((problem) => describe(problem, schema, origin, settings));
  const [first] = problems;
  if (first === undefined) return filled as Static<Schema>;
  throw new IsthmusError(
    'CONFIG_INVALID',
    problems
      .slice(0, 10)
      .map(({ text }) => text)
      .join('\n'),
    { field: first.field },
  );
}
