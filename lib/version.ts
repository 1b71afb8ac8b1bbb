// The software version from package.json, which is beside lib/ in the repository, and one level higher from dist/lib/.
import { existsSync, readFileSync } from 'node:fs';

function readVersion(): string {
  for (const candidate of ['../package.json', '../../package.json']) {
    const url = new URL(candidate, import.meta.url);
    if (!existsSync(url)) continue;
    const manifest = JSON.parse(readFileSync(url, 'utf8')) as { name?: string; version?: string };
    if (manifest.name === 'isthmus' && manifest.version !== undefined) return manifest.version;
  }
  return '0.0.0';
}

export const SOFTWARE_VERSION: string = readVersion();
