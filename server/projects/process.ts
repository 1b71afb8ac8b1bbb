// Checks a project's process: an ordered list of steps, each a script or a package, each named by a slug of its own.
import { IsthmusError } from '../../lib/errors.ts';
import { isSlug } from '../../lib/ids.ts';
import { packageIdKey } from '../../lib/packages/versions.ts';
import type { ProcessStep, StepScript } from '../store/process.ts';
import { checkInterpreter, longestScriptBytes } from '../scripts/script-task.ts';

const mostSteps = 100;
const mostPatterns = 100;
const longestPattern = 300;
const longestTimeLimitS = 7 * 86_400;

const commonFields = ['name', 'targetRoles', 'kind', 'timeLimitS'];
const scriptFields = [...commonFields, 'script'];
const packageFields = [...commonFields, 'package', 'preDeploy', 'postDeploy', 'substituteIn'];
const stepFields = [...new Set([...scriptFields, ...packageFields])];

/** The steps in `input`, or INVALID_FIELD with the path of the first that is wrong. */
export function checkProcess(input: unknown): ProcessStep[] {
  const steps = list(input, 'steps', mostSteps).map((step, index) => checkStep(step, `steps[${index}]`));
  const seen = new Set<string>();
  for (const [index, { name }] of steps.entries()) {
    if (seen.has(name)) throw invalid(`steps[${index}].name`, `there are two steps named ${name}`);
    seen.add(name);
  }
  return steps;
}

function checkStep(input: unknown, field: string): ProcessStep {
  const { kind } = record(input, field, stepFields);
  if (kind !== 'script' && kind !== 'package') throw invalid(`${field}.kind`, 'a step is a script or a package');
  const step = record(input, field, kind === 'script' ? scriptFields : packageFields);
  const name = slugOf(step['name'], `${field}.name`);
  const targetRoles = list(step['targetRoles'] ?? [], `${field}.targetRoles`, 100).map((role, index) =>
    slugOf(role, `${field}.targetRoles[${index}]`),
  );
  const base = {
    name,
    targetRoles: [...new Set(targetRoles)],
    ...timeLimit(step['timeLimitS'], `${field}.timeLimitS`),
  };
  if (kind === 'script') return { ...base, kind, script: checkScript(step['script'], `${field}.script`) };
  return { ...base, kind, ...packagePart(step, field) };
}

function packagePart(step: Readonly<Record<string, unknown>>, field: string) {
  const { preDeploy, postDeploy, substituteIn } = step;
  const reference = record(step['package'], `${field}.package`, ['id']);
  const id = text(reference['id'], `${field}.package.id`, 100);
  try {
    packageIdKey(id);
  } catch (thrown) {
    throw invalid(`${field}.package.id`, thrown instanceof Error ? thrown.message : 'not a package id');
  }
  return {
    package: { id },
    ...(preDeploy === undefined ? {} : { preDeploy: checkScript(preDeploy, `${field}.preDeploy`) }),
    ...(postDeploy === undefined ? {} : { postDeploy: checkScript(postDeploy, `${field}.postDeploy`) }),
    ...(substituteIn === undefined ? {} : { substituteIn: checkPatterns(substituteIn, `${field}.substituteIn`) }),
  };
}

function checkScript(input: unknown, field: string): StepScript {
  const script = record(input, field, ['interpreter', 'body']);
  const interpreter = text(script['interpreter'] ?? 'bash', `${field}.interpreter`, 50);
  checkInterpreter(interpreter, `${field}.interpreter`);
  const body = text(script['body'], `${field}.body`, longestScriptBytes);
  if (body.includes('\0')) throw invalid(`${field}.body`, 'a script cannot contain NUL');
  return { interpreter, body };
}

function checkPatterns(input: unknown, field: string): string[] {
  return list(input, field, mostPatterns).map((entry, index) => {
    const at = `${field}[${index}]`;
    const pattern = text(entry, at, longestPattern);
    if (pattern.startsWith('/') || pattern.split('/').includes('..') || /[\0\\]/.test(pattern)) {
      throw invalid(at, 'a pattern names files below the package root, with / between folders');
    }
    return pattern;
  });
}

function timeLimit(input: unknown, field: string): { timeLimitS?: number } {
  if (input === undefined) return {};
  if (typeof input === 'number' && Number.isInteger(input) && input >= 1 && input <= longestTimeLimitS) {
    return { timeLimitS: input };
  }
  throw invalid(field, `a time limit is 1 to ${longestTimeLimitS} whole seconds`);
}

function slugOf(input: unknown, field: string): string {
  if (typeof input === 'string' && isSlug(input)) return input;
  throw invalid(field, 'use lower-case letters, digits and hyphens, at most 63');
}

function text(input: unknown, field: string, longest: number): string {
  if (typeof input === 'string' && input.length > 0 && Buffer.byteLength(input) <= longest) return input;
  throw invalid(field, `a text of 1 to ${longest} bytes is wanted`);
}

function list(input: unknown, field: string, most: number): unknown[] {
  if (Array.isArray(input) && input.length <= most) return input;
  throw invalid(field, `a list of at most ${most} is wanted`);
}

function record(input: unknown, field: string, fields: readonly string[]): Readonly<Record<string, unknown>> {
  const known = fields.join(', ');
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalid(field, `an object is wanted, with ${known}`);
  }
  const unknown = Object.keys(input).find((key) => !fields.includes(key));
  if (unknown !== undefined) throw invalid(`${field}.${unknown}`, `there is no such field; known are ${known}`);
  return input as Record<string, unknown>;
}

function invalid(field: string, message: string): IsthmusError {
  return new IsthmusError('INVALID_FIELD', `${field}: ${message}`, { field });
}
