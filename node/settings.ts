// The config.yaml that `join` writes, and where reparenting changes the parents. A machine that joins again keeps its
// other settings: above all the script user, without which its scripts could read the agent's key.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Document, isMap, parseDocument } from 'yaml';
import { IsthmusError } from '../contract/errors.ts';
import { decodeText } from '../lib/text/read-text.ts';
import type { ParentConfig } from '../mesh/types.ts';

interface LinkSettings {
  readonly listen: string | undefined;
  readonly parents: readonly ParentConfig[];
  /** Where the children of a relay dial it, when its token says so; an earlier setting stays otherwise. */
  readonly address?: string | undefined;
}

/** The text of `<dataDir>/config.yaml` with these links. CONFIG_INVALID when the existing file is not a YAML map. */
export function settingsWithLinks(dataDir: string, { listen, parents, address }: LinkSettings): string {
  const document = settingsOf(dataDir);
  if (listen === undefined) document.delete('listen');
  else document.set('listen', listen);
  document.set('parents', document.createNode(parents));
  if (address !== undefined) document.set('address', address);
  return document.toString();
}

/** The text of `<dataDir>/config.yaml` with these parents. CONFIG_INVALID as above. */
export function settingsWithParents(dataDir: string, parents: readonly ParentConfig[]): string {
  const document = settingsOf(dataDir);
  document.set('parents', document.createNode(parents));
  return document.toString();
}

/** The text of `<dataDir>/config.yaml` with this account for scripts. CONFIG_INVALID as above. */
export function settingsWithScriptUser(dataDir: string, scriptUser: string): string {
  const document = settingsOf(dataDir);
  document.set('scriptUser', scriptUser);
  return document.toString();
}

/** The account for scripts in `<dataDir>/config.yaml`; undefined where it names none. CONFIG_INVALID as above. */
export function scriptUserIn(dataDir: string): string | undefined {
  const scriptUser: unknown = settingsOf(dataDir).get('scriptUser');
  return typeof scriptUser === 'string' ? scriptUser : undefined;
}

function settingsOf(dataDir: string): Document {
  const file = join(dataDir, 'config.yaml');
  const before = parseDocument(existsSync(file) ? decodeText(readFileSync(file), file).text : '');
  const document: Document = before.contents === null ? new Document({}) : before;
  if (before.errors.length > 0 || !isMap(document.contents)) {
    throw new IsthmusError('CONFIG_INVALID', `${file} exists and is not a list of settings`, {
      remedy: 'Correct it, or move it away when you do not need it.',
    });
  }
  return document;
}
