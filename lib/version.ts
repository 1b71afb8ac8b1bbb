// The version of this software, as package.json says: beside lib/ in the repository, one folder higher from dist/lib/.
import { existsSync, readFileSync } from 'node:fs';

function readVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    const url = new URL(place, import.meta.url);
    if (!existsSync(url)) continue;
    const manifest = JSON.parse(readFileSync(url, 'utf8')) as { name?: string; version?: string };
    if (manifest.name === 'isthmus' && manifest.version !== undefined) return manifest.version;
  }
  return '0.0.0';
}

export const SOFTWARE_VERSION: string = readVersion();
