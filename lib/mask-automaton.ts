// The automaton (Aho–Corasick) behind the masker: finds any of many byte patterns in one pass. Transitions sit in one
// open-addressed table, since a dense one would take a kilobyte for every byte of every pattern.

const noState = -1;

/** The tree while it is built: of each state its byte, its first child and its next sibling; 0 is none. */
interface Edges {
  readonly byte: Uint8Array;
  readonly firstChild: Int32Array;
  readonly nextSibling: Int32Array;
}

/** Recognises a set of byte patterns. State 0 is the root: nothing of any pattern has been seen. */
export class Automaton {
  readonly empty: boolean;
  readonly #fromRoot = new Int32Array(256);
  readonly #keys: Int32Array;
  readonly #targets: Int32Array;
  readonly #tableMask: number;
  readonly #fail: Int32Array;
  readonly #depth: Int32Array;
  readonly #longest: Int32Array;
  #states = 1;
  /** Whole rows of transitions for the states that ordinary text is in nearly always: the first byte of some pattern. */
  readonly #row: Int32Array;
  readonly #shallow: Int32Array;

  constructor(patterns: readonly Uint8Array[]) {
    this.empty = patterns.length === 0;
    const states = patterns.reduce((sum, pattern) => sum + pattern.length, 1);
    const tableSize = 2 ** Math.ceil(Math.log2(states * 2 + 2));
    this.#tableMask = tableSize - 1;
    this.#keys = new Int32Array(tableSize).fill(-1);
    this.#targets = new Int32Array(tableSize);
    this.#fail = new Int32Array(states);
    this.#depth = new Int32Array(states);
    this.#row = new Int32Array(states);
    this.#longest = new Int32Array(states);
    const edges: Edges = {
      byte: new Uint8Array(states),
      firstChild: new Int32Array(states),
      nextSibling: new Int32Array(states),
    };
    for (const pattern of patterns) this.#insert(pattern, edges);
    this.#link(edges);
    this.#shallow = this.#shallowRows(edges);
  }

  /** The state after one more byte. */
  step(from: number, byte: number): number {
    if (from === 0) return this.#fromRoot[byte]!;
    const row = this.#row[from]!;
    if (row !== 0) return this.#shallow[row * 256 + byte]!;
    let state = from;
    while (state !== 0) {
      const next = this.#child(state, byte);
      if (next !== noState) return next;
      state = this.#fail[state]!;
    }
    return this.#fromRoot[byte]!;
  }

  /** How many of the last bytes are the beginning of some pattern. */
  depth(state: number): number {
    return this.#depth[state]!;
  }

  /** The length of the longest pattern that ends here; 0 when none does. */
  longestMatch(state: number): number {
    return this.#longest[state]!;
  }

  /** Every place inside a pattern that one byte leads to from an earlier place inside it. */
  placesAfter(byte: number): number[] {
    const places: number[] = [];
    for (const [slot, key] of this.#keys.entries()) {
      if (key !== -1 && key % 256 === byte) places.push(this.#targets[slot]!);
    }
    return places;
  }

  /** The places that one more byte leads to from any of these, without leaving the pattern. */
  placesNext(places: readonly number[], byte: number): number[] {
    return places.map((place) => this.#child(place, byte)).filter((place) => place !== noState);
  }

  #insert(pattern: Uint8Array, edges: Edges): void {
    let state = 0;
    for (const byte of pattern) {
      let next = state === 0 ? this.#fromRoot[byte]! : this.#child(state, byte);
      if (next <= 0) {
        next = this.#states;
        this.#states += 1;
        this.#depth[next] = this.#depth[state]! + 1;
        edges.byte[next] = byte;
        edges.nextSibling[next] = edges.firstChild[state]!;
        edges.firstChild[state] = next;
        if (state === 0) this.#fromRoot[byte] = next;
        else this.#put(state, byte, next);
      }
      state = next;
    }
    this.#longest[state] = pattern.length;
  }

  /** Breadth first, so that the state a failure leads to is complete before it is read. */
  #link({ byte, firstChild, nextSibling }: Edges): void {
    const queue = new Int32Array(this.#states);
    let tail = 1;
    for (let head = 0; head < tail; head += 1) {
      const parent = queue[head]!;
      for (let state = firstChild[parent]!; state !== 0; state = nextSibling[state]!) {
        this.#fail[state] = parent === 0 ? 0 : this.step(this.#fail[parent]!, byte[state]!);
        const fallback = this.#fail[state] ?? 0;
        this.#longest[state] = Math.max(this.#longest[state]!, this.#longest[fallback]!);
        queue[tail] = state;
        tail += 1;
      }
    }
  }

  #shallowRows({ firstChild, nextSibling }: Edges): Int32Array {
    const states: number[] = [];
    for (let state = firstChild[0]!; state !== 0; state = nextSibling[state]!) states.push(state);
    const rows = new Int32Array((states.length + 1) * 256);
    for (const [index, state] of states.entries()) {
      for (let byte = 0; byte < 256; byte += 1) rows[(index + 1) * 256 + byte] = this.step(state, byte);
    }
    // Only now: until here `step` had to go the long way.
    for (const [index, state] of states.entries()) this.#row[state] = index + 1;
    return rows;
  }

  #child(state: number, byte: number): number {
    const key = state * 256 + byte;
    for (let slot = hash(key) & this.#tableMask; ; slot = (slot + 1) & this.#tableMask) {
      const found = this.#keys[slot]!;
      if (found === key) return this.#targets[slot]!;
      if (found === -1) return noState;
    }
  }

  #put(state: number, byte: number, next: number): void {
    const key = state * 256 + byte;
    let slot = hash(key) & this.#tableMask;
    while (this.#keys[slot] !== -1) slot = (slot + 1) & this.#tableMask;
    this.#keys[slot] = key;
    this.#targets[slot] = next;
  }
}

function hash(key: number): number {
  const mixed = Math.imul(key, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
