// Bench: how long a whole deployment takes, from the request to its end, beside one curl over the same line and what
// people do without Isthmus. A site behind a line of 100 Mbit/s and 40 ms, and one behind that; see
// support/distribution-lab.ts. Rounds are interleaved.
import { lacks } from '../test/support/needs.ts';
import { DistributionLab, type Archive, type EnvironmentId } from './support/distribution-lab.ts';
import { missing, Rivals } from './support/distribution-rivals.ts';
import { percentile, rounded, type Bench, type BenchContext, type BenchReport, type Figure } from './support/report.ts';

const MIB = 1024 * 1024;
const SHAPE = { delayMs: 20, rateMbit: 100 };
const ARCHIVE_BYTES = 64 * MIB;
/** Of the bytes, in a second version. */
const CHANGED_PART = 0.02;
const ROUNDS = 3;
const QUICK_ROUNDS = 2;
/** rsync and Ansible send the archive once to each machine. */
const SLOW_ROUNDS = 1;

type Name = EnvironmentId | 'second' | 'curl' | 'nginx4' | 'nginx16' | 'jump' | 'staged' | 'ansible';

/** What everybody took, by round. */
class Samples {
  readonly #at: DistributionLab;
  readonly #say: (line: string) => void;
  readonly #rounds: Partial<Record<Name, { readonly seconds: number; readonly bytes: number }>>[] = [];

  constructor(at: DistributionLab, say: (line: string) => void) {
    this.#at = at;
    this.#say = say;
  }

  nextRound(): void {
    this.#rounds.push({});
  }

  /** Runs `work`, which gives its seconds, and counts the bytes on the long line meanwhile. */
  async measure(name: Name, work: () => Promise<number>): Promise<void> {
    const before = await this.#at.lineBytes();
    const seconds = await work();
    const bytes = (await this.#at.lineBytes()) - before;
    this.#rounds.at(-1)![name] = { seconds, bytes };
    this.#say(`${name.padEnd(8)} ${seconds.toFixed(2).padStart(6)} s ${(bytes / 1e6).toFixed(1).padStart(7)} MB`);
  }

  seconds(name: Name): Figure {
    return median(this.#rounds.map((round) => round[name]?.seconds));
  }

  /** The median of the ratios of each round. */
  ratio(name: Name, unit: Name, of: 'seconds' | 'bytes' = 'seconds'): Figure {
    return median(
      this.#rounds.map((round) => {
        const [sample, base] = [round[name]?.[of], round[unit]?.[of]];
        return sample === undefined || base === undefined ? undefined : sample / base;
      }),
    );
  }
}

function median(samples: readonly (number | undefined)[]): Figure {
  const known = samples.filter((sample) => sample !== undefined);
  return known.length === 0 ? null : rounded(percentile(known));
}

/** Starts the rivals that are installed here; notes which are not. */
async function startRivals(
  rivals: Rivals,
  quick: boolean,
  notes: string[],
): Promise<{ readonly nginx: boolean; readonly ssh: boolean; readonly ansible: boolean }> {
  const ready = (what: string, packages: Record<string, string>): boolean => {
    const install = missing(packages);
    if (install !== undefined) notes.push(`${what} is not measured: ${install}`);
    return install === undefined;
  };
  const nginx = ready('nginx', { nginx: 'nginx-light' });
  const sshPackages = { '/usr/sbin/sshd': 'openssh-server', ssh: 'openssh-client', 'ssh-keygen': 'openssh-client' };
  const ssh = !quick && ready('rsync', { rsync: 'rsync', ...sshPackages });
  const ansible = !quick && ready('Ansible', { ansible: 'ansible-core', ...sshPackages });
  if (nginx) await rivals.startCache();
  if (ssh || ansible) await rivals.startSsh();
  return { nginx, ssh, ansible };
}

async function contend({ quick, say }: BenchContext, at: DistributionLab, rivals: Rivals): Promise<BenchReport> {
  const notes = [
    `${ARCHIVE_BYTES / MIB} MiB of tar.gz; a line of ${SHAPE.rateMbit} Mbit/s and ${2 * SHAPE.delayMs} ms, ${at.lab.congestion}; ` +
      'all hosts share this machine and its disk',
    'bytes: both directions of the long line, by its counters',
  ];
  const has = await startRivals(rivals, quick, notes);
  const samples = new Samples(at, say);
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const withArchive = async (work: (archive: Archive) => Promise<void>): Promise<void> => {
    const archive = await at.pack(ARCHIVE_BYTES);
    await work(archive);
    await at.remove(archive);
  };
  const deploy = (environment: EnvironmentId): Promise<void> =>
    withArchive(async (archive) => {
      const release = await at.release(archive);
      await samples.measure(environment, () => at.deploy(release, environment));
    });
  /** What nobody has, then to others whose mirror has it by now, then a second version to the first ones. */
  const deployTwice = (): Promise<void> =>
    withArchive(async (archive) => {
      const first = await at.release(archive);
      await samples.measure('four', () => at.deploy(first, 'four'));
      await samples.measure('others', () => at.deploy(first, 'others'));
      if (quick) return;
      const changed = await at.change(archive, CHANGED_PART);
      const second = await at.release(changed);
      await samples.measure('second', () => at.deploy(second, 'four'));
      await at.remove(changed);
    });
  const rival = (name: Name, work: (archive: Archive) => Promise<number>): Promise<void> =>
    withArchive((archive) => samples.measure(name, () => work(archive)));
  for (let round = 0; round < rounds; round += 1) {
    samples.nextRound();
    await rival('curl', (archive) => rivals.curl(archive));
    await deployTwice();
    if (has.nginx && (round === 0 || !quick)) await rival('nginx4', (archive) => rivals.nginx(archive, 4));
    if (quick) continue;
    await deploy('inner');
    await deploy('all');
    if (has.nginx) await rival('nginx16', (archive) => rivals.nginx(archive, 16));
    if (round >= SLOW_ROUNDS) continue;
    if (has.ssh) await rival('jump', (archive) => rivals.rsyncThroughJump(archive));
    if (has.ssh) await rival('staged', (archive) => rivals.rsyncStaged(archive));
    if (has.ansible) await rival('ansible', (archive) => rivals.ansible(archive));
  }
  if (quick) notes.push('two tiers, 16 machines, a second version, rsync and Ansible take too long for --quick');
  notes.push(`medians of ${rounds} interleaved rounds${quick ? '' : `; rsync and Ansible ${SLOW_ROUNDS}`}`);
  return { figures: figuresOf(samples), rivals: rivalsOf(samples), notes };
}

/** Every figure; null where nothing was measured. */
function figuresOf(samples: Samples | undefined): Record<string, Figure> {
  const ratio = (name: Name, unit: Name, of?: 'bytes'): Figure => samples?.ratio(name, unit, of) ?? null;
  return {
    curl_s: samples?.seconds('curl') ?? null,
    targets4_ratio: ratio('four', 'curl'),
    targets16_ratio: ratio('all', 'curl'),
    targets16_nginx_ratio: ratio('all', 'nginx16'),
    tiers2_ratio: ratio('inner', 'curl'),
    warmed_ratio: ratio('others', 'curl'),
    second_ratio: ratio('second', 'curl'),
    second_bytes_ratio: ratio('second', 'curl', 'bytes'),
    bytes4_ratio: ratio('four', 'curl', 'bytes'),
    bytes16_ratio: ratio('all', 'curl', 'bytes'),
  };
}

function rivalsOf(samples: Samples | undefined): Record<string, Figure> {
  const ratio = (name: Name): Figure => samples?.ratio(name, 'curl') ?? null;
  return {
    nginx_ratio: ratio('nginx4'),
    nginx16_ratio: ratio('nginx16'),
    rsync_jump_ratio: ratio('jump'),
    rsync_staged_ratio: ratio('staged'),
    ansible_ratio: ratio('ansible'),
  };
}

export const bench: Bench = async (context) => {
  const { quick, say } = context;
  const install = missing({ curl: 'curl' });
  if (lacks('root', 'namespaces', 'iproute', 'gcc', 'tun') || install !== undefined) {
    const note = install ?? 'it needs root, network namespaces, /dev/net/tun, iproute2 and gcc';
    return { figures: figuresOf(undefined), rivals: rivalsOf(undefined), notes: [note] };
  }
  say(`${quick ? 'one site' : 'two sites, one behind the other'}, behind a line of ${SHAPE.rateMbit} Mbit/s`);
  const at = await DistributionLab.up({ shape: SHAPE, machines: quick ? 8 : 16, inner: !quick });
  try {
    const rivals = await Rivals.start(at);
    try {
      return await contend(context, at, rivals);
    } finally {
      await rivals.stop();
    }
  } catch (thrown) {
    say(await at.autopsy());
    throw thrown;
  } finally {
    await at.down();
  }
};
