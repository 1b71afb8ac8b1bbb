// How the command line calls a command, and what the API and the settings call by the names of fields.
import type { Command } from 'commander';

/** `isthmus token create` */
export function commandLine(command: Command): string {
  const above = command.parent === null ? [] : [commandLine(command.parent)];
  return [...above, command.name()].join(' ');
}

/** Fields that a command calls by another word, as its options and arguments are called in code. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  body: ['file'],
  dataDir: ['data'],
  environment: ['to'],
  listen: ['meshListen'],
  'parents.address': ['address'],
  'parents.dialAddress': ['dial', 'parent'],
  release: ['version'],
  steps: ['process', 'file'],
  value: ['value', 'file'],
};

/** Whether a field is a part of what the user has written into a file: `steps[2].kind`. */
export function isInFile(field: string): boolean {
  return /^steps\b./.test(field);
}

/**
 * `--ttl` for `ttlS`, `--target-role` for `targetRoles[0]`, `<id>` for an argument; undefined where there is no such
 * word.
 */
export function wordOf(command: Command, field: string): string | undefined {
  const path = field
    .replaceAll(/\[\d+\]/g, '')
    .split('.')
    .filter((part) => part !== '');
  const [first = ''] = path;
  const names = [...(OTHER_NAMES[path.join('.')] ?? []), camelCase(path), first, ...(OTHER_NAMES[first] ?? [])];
  const words = names.flatMap((name) => spellings(name)).flatMap((name) => wordsNamed(command, name));
  return (words.find(({ isGiven }) => isGiven) ?? words[0])?.word;
}

/** `mesh.listen` as `meshListen` */
function camelCase(path: readonly string[]): string {
  return path.map((part, index) => (index === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1))).join('');
}

/** A name, without its unit, and as one of several. */
function spellings(name: string): readonly string[] {
  return [name, name.replace(/(S|Ms|At)$/, ''), name.replace(/s$/, '')];
}

/** The option or argument of that name. */
function wordsNamed(command: Command, name: string): { readonly word: string; readonly isGiven: boolean }[] {
  const options = command.options.filter((option) => option.attributeName() === name);
  const ids = command.registeredArguments.filter((argument) => argument.name() === name);
  return [
    ...options.map(({ long }) => ({ word: long ?? '', isGiven: command.getOptionValueSource(name) === 'cli' })),
    ...ids.map((argument) => ({ word: `<${argument.name()}>`, isGiven: argument.required })),
  ];
}
