// `npm run package`: builds everything that is carried to a machine, and signs it.
import { execFile } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { keyFingerprint, signSums } from '../../certs/release-keys.ts';
import { envVariable } from '../../lib/config/env.ts';
import { buildDebianPackage } from './debian.ts';
import { packTarball, sumsOf } from './files.ts';
import { buildImage } from './image.ts';
import { ARCHITECTURES, type Architecture } from './node-binary.ts';
import { buildCommon, completeTree, type Build } from './tree.ts';

const USAGE = `usage: npm run package -- [options]
  --arch x64|arm64   one architecture (default: both)
  --out DIR          where to put it (default: out)
  --key FILE         sign it with this private Ed25519 key (PEM)
  --new-key FILE     create such a key, and nothing else
  --version VERSION  (default: that of package.json)
  --deb              Debian packages, too (needs dpkg-deb)
  --image            OCI images, too (needs buildah, and its base in a registry or in buildah's storage)
  --base IMAGE       what the images are built on (default: as docker/Dockerfile says)
  --source DIR       another checkout to build, with its node_modules`;

const OPTIONS = {
  arch: { type: 'string' },
  out: { type: 'string', default: 'out' },
  key: { type: 'string' },
  'new-key': { type: 'string' },
  version: { type: 'string' },
  source: { type: 'string' },
  deb: { type: 'boolean', default: false },
  image: { type: 'boolean', default: false },
  base: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const repository = join(import.meta.dirname, '../..');

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function createKey(file: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  say(`${file}: a new release key, to be kept where nobody else reads it; fingerprint ${keyFingerprint(publicKey)}`);
}

async function git(source: string, ...args: readonly string[]): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('git', ['-C', source, ...args]).catch(() => ({ stdout: '' }));
  return stdout.trim() === '' ? undefined : stdout.trim();
}

/** What is built: the version, and the commit and its time (https://reproducible-builds.org/specs/source-date-epoch/). */
async function describe(source: string, version: string | undefined): Promise<Build> {
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { version: string };
  const seconds = envVariable('SOURCE_DATE_EPOCH') ?? (await git(source, 'log', '-1', '--format=%ct')) ?? '0';
  return {
    source,
    version: version ?? manifest.version,
    commit: (await git(source, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')) ?? null,
    time: new Date(Number(seconds) * 1000),
  };
}

/** The signature and the public key go beside the list. */
async function signList(out: string, sums: string, key: KeyObject | undefined): Promise<void> {
  const [signature, publicKey] = [join(out, 'SHA256SUMS.sig'), join(out, 'isthmus-release.pub')];
  for (const file of [signature, publicKey]) await rm(file, { force: true });
  if (key === undefined) {
    say('NOT SIGNED: hosts install it only by hand, and take no upgrade from it. --key FILE signs it.');
    return;
  }
  await writeFile(signature, signSums(sums, key));
  await writeFile(publicKey, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
  say(`signed with the key ${keyFingerprint(createPublicKey(key))}`);
}

interface Wanted {
  readonly architectures: readonly Architecture[];
  readonly deb: boolean;
  readonly image: boolean;
  readonly base?: string | undefined;
}

/** Resolves with the names of the files that were built into `out`. */
async function build(out: string, what: Build, { architectures, deb, image, base }: Wanted): Promise<string[]> {
  const cache = join(repository, 'node_modules/.cache/package');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'build-'));
  const built: string[] = [];
  try {
    const common = join(work, 'common');
    await buildCommon(what, common);
    for (const architecture of architectures) {
      const name = `isthmus-${what.version}-linux-${architecture}`;
      await cp(common, join(work, name), { recursive: true });
      await completeTree(what, join(work, name), architecture, cache);
      await packTarball(join(out, `${name}.tar.gz`), work, name, what.time);
      built.push(`${name}.tar.gz`);
      if (deb) built.push(await buildDebianPackage(what, architecture, join(work, name), out));
      if (image) built.push(await buildImage(what, architecture, join(work, name), out, base));
      await rm(join(work, name), { recursive: true });
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return built;
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.help) {
    say(USAGE);
    return;
  }
  if (values['new-key'] !== undefined) {
    await createKey(values['new-key']);
    return;
  }
  const architectures = ARCHITECTURES.filter((each) => values.arch === undefined || each === values.arch);
  if (architectures.length === 0) throw new Error(`there is no architecture ${values.arch}\n${USAGE}`);
  const key = values.key === undefined ? undefined : createPrivateKey(await readFile(values.key));
  if (key !== undefined && key.asymmetricKeyType !== 'ed25519') throw new Error(`${values.key} is no Ed25519 key`);
  const out = resolve(values.out);
  await mkdir(out, { recursive: true });
  const what = await describe(resolve(values.source ?? repository), values.version);
  const built = await build(out, what, { architectures, ...values });
  const sums = await sumsOf(out, built);
  await writeFile(join(out, 'SHA256SUMS'), sums);
  say(sums.trimEnd());
  await signList(out, sums, key);
}

await main(process.argv.slice(2));
