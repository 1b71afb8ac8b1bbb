// Judges the symbolic links of an archive once all are known: two that stay inside the package alone can leave it
// together. Each is resolved as a system does, through the archive's own links.
import { IsthmusError } from '../../contract/errors.ts';
import { hasControlCharacter, shown } from './names.ts';

/** What a system takes. */
export const LONGEST_TARGET_BYTES = 4096;
/** A system gives up here. */
const MOST_HOPS = 40;
/** The targets that are walked for all links of an archive together; far more than any package needs. */
const MOST_WALKED_BYTES = 100 * 1024 ** 2;

export interface SymbolicLink {
  /** Below the package root. */
  readonly parts: readonly string[];
  readonly target: string;
  readonly modifiedAt: Date | undefined;
}

/** The folders above links, and the links: what has no node here is not changed by a link. */
interface Node {
  readonly children: Map<string, Node>;
  target?: string;
}

export class SymbolicLinks {
  readonly #root: Node = { children: new Map() };
  /** By path. */
  readonly #all = new Map<string, SymbolicLink>();
  #walkedBytes = 0;

  get all(): readonly SymbolicLink[] {
    return [...this.#all.values()];
  }

  /** The link before with this path. */
  find(path: string): SymbolicLink | undefined {
    return this.#all.get(path);
  }

  /** Adds a link, whose name is its alone. PACKAGE_LINK for a target that no link inside a package has. */
  add(link: SymbolicLink): void {
    const { parts, target } = link;
    const isPossible = target !== '' && Buffer.byteLength(target) <= LONGEST_TARGET_BYTES;
    if (!isPossible || hasControlCharacter(target) || target.startsWith('/')) rejectLink(parts, target);
    let node = this.#root;
    for (const part of parts) {
      const child = node.children.get(part) ?? { children: new Map<string, Node>() };
      node.children.set(part, child);
      node = child;
    }
    node.target = target;
    this.#all.set(parts.join('/'), link);
  }

  /** PACKAGE_LINK for the first link that leads outside the package, or nowhere because it leads in a circle. */
  judge(): void {
    for (const link of this.all) if (!this.#staysInside(link)) rejectLink(link.parts, link.target);
  }

  #staysInside({ parts, target }: SymbolicLink): boolean {
    // The folders that lead to where the walk is; undefined where the archive has no link below.
    const walked: (Node | undefined)[] = [this.#root];
    for (const part of parts.slice(0, -1)) walked.push(walked.at(-1)?.children.get(part));
    // The next part to walk is the last one.
    const left = this.#walk(target);
    let hops = 0;
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        walked.pop();
        if (walked.length === 0) return false;
        continue;
      }
      const node = walked.at(-1)?.children.get(part);
      if (node?.target === undefined) {
        walked.push(node);
        continue;
      }
      hops += 1;
      if (hops > MOST_HOPS) return false;
      left.push(...this.#walk(node.target));
    }
    return true;
  }

  /** The parts of a target, the last one first. */
  #walk(target: string): string[] {
    this.#walkedBytes += target.length;
    if (this.#walkedBytes > MOST_WALKED_BYTES) {
      throw new IsthmusError('PACKAGE_LINK', 'the archive has too many links to links');
    }
    return target.split('/').toReversed();
  }
}

function rejectLink(parts: readonly string[], target: string): never {
  const [name, to] = [shown(parts.join('/')), shown(target)];
  throw new IsthmusError('PACKAGE_LINK', `the link ${name} leads outside the package, or in a circle: to ${to}`);
}
