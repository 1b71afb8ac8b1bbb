// The health report of a tentacle's machine: facts read for a call and for its own reports, without the script engine,
// so that a machine whose scripts hang still answers. The thresholds are the server's.
import { statfs } from 'node:fs/promises';
import { arch, availableParallelism, freemem, loadavg, release, totalmem, type, uptime } from 'node:os';
import { readFile } from 'node:fs/promises';
import type { HealthReport } from '../proto/gen/isthmus/health/v1/HealthReport.ts';
import { installedInterpreters } from './scripts/launch/interpreters.ts';

interface HealthSources {
  readonly dataDir: string;
  readonly softwareVersion: string;
  readonly path: string;
  readonly scriptsIsolated: boolean;
  readonly runningScripts: () => number;
  readonly certificateNotAfterMs: () => number;
}

export class HealthReporter {
  readonly #sources: HealthSources;

  constructor(sources: HealthSources) {
    this.#sources = sources;
  }

  async report(): Promise<HealthReport> {
    const { dataDir, softwareVersion, path, scriptsIsolated, runningScripts, certificateNotAfterMs } = this.#sources;
    const [disk, memoryFreeBytes] = await Promise.all([statfs(dataDir), availableMemory()]);
    return {
      softwareVersion,
      os: `${type()} ${release()}`,
      arch: arch(),
      tentacleTimeMs: Date.now(),
      diskFreeBytes: disk.bavail * disk.bsize,
      diskTotalBytes: disk.blocks * disk.bsize,
      memoryFreeBytes,
      memoryTotalBytes: totalmem(),
      load_1m: loadavg()[0]!,
      cpus: availableParallelism(),
      runningScripts: runningScripts(),
      uptimeS: Math.round(uptime()),
      certificateNotAfterMs: certificateNotAfterMs(),
      interpreters: installedInterpreters(path),
      scriptsIsolated,
    };
  }
}

/** Memory that programs can still get. Free memory alone would be low on any machine with a warm disk cache. */
async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return available === undefined ? freemem() : Number(available) * 1024;
}
