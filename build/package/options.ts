// The command line of `npm run package`.
import { parseArgs } from 'node:util';
import { parseTarballName } from '../../certs/release-keys.ts';
import { didYouMean } from '../../lib/config/suggest.ts';
import { BuildError } from './build-error.ts';
import { ARCHITECTURES, type Architecture } from './node-binary.ts';

interface Option {
  readonly type: 'string' | 'boolean';
  /** What its value is called. */
  readonly value?: string;
  readonly does: string;
  /** Its words on a command line. */
  readonly example: string;
}

const OPTIONS = {
  'new-key': {
    type: 'string',
    value: 'FILE',
    does: 'create a private key to sign with (Ed25519, PEM), and nothing else',
    example: '--new-key ~/isthmus-release.key',
  },
  key: {
    type: 'string',
    value: 'FILE',
    does: 'sign with this private key (default: nothing is signed)',
    example: '--key ~/isthmus-release.key',
  },
  arch: { type: 'string', value: 'ARCH', does: 'x64 or arm64 only (default: both)', example: '--arch x64' },
  out: {
    type: 'string',
    value: 'DIR',
    does: 'where to put it (default: out); what an earlier build left there is removed',
    example: '--out /media/stick/isthmus',
  },
  version: {
    type: 'string',
    value: 'VERSION',
    does: 'its version (default: that of package.json)',
    example: '--version 0.2.1',
  },
  deb: { type: 'boolean', does: 'Debian packages, too (needs dpkg-deb)', example: '--deb' },
  image: { type: 'boolean', does: 'OCI images, too (needs buildah)', example: '--image' },
  base: {
    type: 'string',
    value: 'IMAGE',
    does: "what images are built on, from a registry or buildah's storage (default: as docker/Dockerfile says)",
    example: '--image --base registry.example/debian:12',
  },
  source: {
    type: 'string',
    value: 'DIR',
    does: 'another checkout to build, with its node_modules (default: this one)',
    example: '--source ../isthmus',
  },
  help: { type: 'boolean', does: 'show this', example: '--help' },
} as const satisfies Readonly<Record<string, Option>>;

type Name = keyof typeof OPTIONS;

const NAMES = Object.keys(OPTIONS) as Name[];

/** As other programs call them. */
const OTHER_NAMES: Readonly<Record<string, Architecture>> = {
  amd64: 'x64',
  x86_64: 'x64',
  'x86-64': 'x64',
  aarch64: 'arm64',
  armv8: 'arm64',
};

export interface BuildOptions {
  readonly architectures: readonly Architecture[];
  readonly out: string;
  readonly key: string | undefined;
  readonly version: string | undefined;
  readonly deb: boolean;
  readonly image: boolean;
  readonly base: string | undefined;
  readonly source: string | undefined;
}

type Order =
  | { readonly kind: 'help' }
  | { readonly kind: 'new-key'; readonly file: string }
  | { readonly kind: 'build'; readonly options: BuildOptions };

/** Reads a command line. BuildError when it was not understood. */
export function parseOptions(args: readonly string[]): Order {
  const given = readOptions(args);
  if (given.has('help')) return { kind: 'help' };
  const newKey = given.get('new-key');
  if (newKey !== undefined) {
    const other = [...given.keys()].find((name) => name !== 'new-key');
    if (other !== undefined) {
      throw new BuildError(`--new-key creates a key and does nothing else; leave out --${other}, and build afterwards`);
    }
    return { kind: 'new-key', file: newKey };
  }
  const [version, base] = [given.get('version'), given.get('base')];
  if (version !== undefined) checkVersion(version, '--version takes');
  if (base !== undefined && !given.has('image')) {
    throw new BuildError('--base is what images are built on; add --image, or leave it out');
  }
  const options = {
    architectures: architecturesOf(given.get('arch')),
    out: given.get('out') ?? 'out',
    key: given.get('key'),
    version,
    deb: given.has('deb'),
    image: given.has('image'),
    base,
    source: given.get('source'),
  };
  return { kind: 'build', options };
}

/** BuildError unless tarballs can have this version (`parseTarballName`). */
export function checkVersion(version: string, rule: string): void {
  if (parseTarballName(`isthmus-${version}-linux-x64.tar.gz`)?.version === version) return;
  throw new BuildError(`"${version}" is no version; ${rule} three numbers, such as 0.2.0 or 0.2.0-rc.1`);
}

/** The text of `--help`: every option, with an example. */
export function usage(): string {
  const rows = Object.entries<Option>(OPTIONS).map(([name, { value, does, example }]) => {
    const option = `--${name}${value === undefined ? '' : ` ${value}`}`;
    return `  ${option.padEnd(18)} ${does}\n${' '.repeat(21)}npm run package -- ${example}`;
  });
  const what = [
    'Builds the tarballs that machines are installed from, with the list of their digests (SHA256SUMS), and signs it.',
    'A signed build for one kind of machine:',
    '  npm run package -- --key ~/isthmus-release.key --arch x64',
  ];
  return ['usage: npm run package -- [options]', '', ...what, '', ...rows].join('\n');
}

function architecturesOf(name: string | undefined): readonly Architecture[] {
  if (name === undefined) return ARCHITECTURES;
  const found = ARCHITECTURES.filter((each) => each === name);
  if (found.length > 0) return found;
  const other = OTHER_NAMES[name.toLowerCase()];
  const remedy = other === undefined ? `--arch takes ${ARCHITECTURES.join(' or ')}` : `say --arch ${other}`;
  throw new BuildError(`there is no architecture "${name}"; ${remedy}`);
}

/** The options that were given, with their values; those without one have an empty text. */
function readOptions(args: readonly string[]): ReadonlyMap<Name, string> {
  const options = { args: [...args], options: OPTIONS, strict: false, allowPositionals: true, tokens: true } as const;
  const given = new Map<Name, string>();
  for (const token of parseArgs(options).tokens) {
    if (token.kind === 'positional') {
      const remedy = 'give options after --, as in npm run package -- --arch x64';
      throw new BuildError(`there is nothing to do with "${token.value}"; ${remedy}`);
    }
    if (token.kind !== 'option') continue;
    const name = NAMES.find((each) => `--${each}` === token.rawName);
    if (name === undefined) throw unknownOption(token.rawName);
    if (given.has(name)) throw new BuildError(`--${name} is there twice; give it once`);
    given.set(name, valueOf(name, token.value, token.inlineValue));
  }
  return given;
}

function valueOf(name: Name, value: string | undefined, isInline: boolean | undefined): string {
  const { type, value: called } = OPTIONS[name] as Option;
  if (type === 'boolean') {
    if (value === undefined) return '';
    throw new BuildError(`--${name} takes no value; leave out "=${value}"`);
  }
  if (value === undefined || value === '' || (isInline !== true && value.startsWith('-'))) {
    throw new BuildError(`--${name} lacks its value; give it as --${name} ${called}`);
  }
  return value;
}

function unknownOption(rawName: string): BuildError {
  const known = NAMES.map((name) => `--${name}`);
  const remedy = didYouMean(rawName, known) || '; npm run package -- --help shows all';
  return new BuildError(`there is no option ${rawName}${remedy}`);
}
