// The config.yaml that `join` writes, and that takes other parents later. A machine that joins again, after a
// revocation or weeks without power, keeps what its operator had set there: the script user above all, without which
// its scripts could read the agent's key.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Document, isMap, parseDocument } from 'yaml';
import { IsthmusError } from '../lib/errors.ts';
import type { ParentConfig } from '../mesh/types.ts';

/** How the new node and its parent reach each other. */
interface WaySettings {
  readonly listen: string | undefined;
  readonly parents: readonly ParentConfig[];
}

/** The text of `<dataDir>/config.yaml` with this way in it. CONFIG_INVALID when the one that is there is not YAML. */
export function settingsWithListener(dataDir: string, { listen, parents }: WaySettings): string {
  const document = settingsOf(dataDir);
  if (listen === undefined) document.delete('listen');
  else document.set('listen', listen);
  document.set('parents', document.createNode(parents));
  return document.toString();
}

/** The text of `<dataDir>/config.yaml` with other parents in it. CONFIG_INVALID as above. */
export function settingsWithParents(dataDir: string, parents: readonly ParentConfig[]): string {
  const document = settingsOf(dataDir);
  document.set('parents', document.createNode(parents));
  return document.toString();
}

function settingsOf(dataDir: string): Document {
  const file = join(dataDir, 'config.yaml');
  const before = parseDocument(existsSync(file) ? readFileSync(file, 'utf8') : '');
  const document: Document = before.contents === null ? new Document({}) : before;
  if (before.errors.length > 0 || !isMap(document.contents)) {
    throw new IsthmusError('CONFIG_INVALID', `${file} is there from before and is not a list of settings`, {
      remedy: 'Correct it, or move it away when nothing in it is wanted any more.',
    });
  }
  return document;
}
