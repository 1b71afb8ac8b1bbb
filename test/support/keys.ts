// RSA keys for the meshes of tests. A key costs much processor time, so they are made once for a checkout, beside the
// packages, and every test file takes them one after the other.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generateKey } from '../../certs/keys.ts';

export type KeyPair = Awaited<ReturnType<typeof generateKey>>;

interface Kept {
  readonly authorities: readonly KeyPair[];
  readonly nodes: readonly KeyPair[];
}

/** More than one test has at once: after the last comes the first again. */
const kept = { authorities: 8, nodes: 48 };
const file = join(import.meta.dirname, '../../node_modules/.cache/tests/keys.json');

const taken = { authorities: 0, nodes: 0 };
let keys: Promise<Kept> | undefined;

/** A key for an authority. */
export async function authorityKey(): Promise<KeyPair> {
  const { authorities } = await (keys ??= readOrMake());
  return authorities[taken.authorities++ % kept.authorities]!;
}

/** A key for a node. */
export async function nodeKey(): Promise<KeyPair> {
  const { nodes } = await (keys ??= readOrMake());
  return nodes[taken.nodes++ % kept.nodes]!;
}

async function readOrMake(): Promise<Kept> {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch {
    const made = {
      authorities: await Promise.all(Array.from({ length: kept.authorities }, () => generateKey(3072))),
      nodes: await Promise.all(Array.from({ length: kept.nodes }, () => generateKey())),
    };
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const fresh = `${file}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(made), { mode: 0o600 });
    renameSync(fresh, file);
    return made;
  }
}

/** JSON has a buffer as its bytes. */
function parse(text: string): Kept {
  const whole = (pair: KeyPair): KeyPair => ({ ...pair, spkiDer: Buffer.from(pair.spkiDer) });
  const { authorities, nodes } = JSON.parse(text) as Kept;
  return { authorities: authorities.map(whole), nodes: nodes.map(whole) };
}
