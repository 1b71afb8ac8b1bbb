// The automaton (Aho–Corasick) behind the masker: finds any of many byte patterns in one pass. Long patterns are long
// chains, so states are numbered in the order in which they are made, and what most states know of their child is only
// that it is the next one. Nothing changes once it is built: any number of streams may share one.

const noState = -1;
/** In `#chain`: no byte leads to the next state. */
const noByte = 256;
/** In `#chain`: other bytes lead to other states. */
const branchesBit = 512;
const bytesPerState = 16;
/** About what a Map takes for an entry. */
const bytesPerBranch = 48;

/** Recognises a set of byte patterns. State 0 is the root: nothing of any pattern has been seen. */
export class Automaton {
  readonly empty: boolean;
  /** What it takes of memory, about. */
  readonly sizeBytes: number;
  readonly #fromRoot = new Int32Array(256);
  /** Of each state, the byte that leads to the next one; its root has none here. */
  readonly #chain: Uint16Array;
  /** All other transitions, by state * 256 + byte: at most one for each pattern. */
  readonly #branches = new Map<number, number>();
  readonly #fail: Int32Array;
  readonly #depth: Int32Array;
  readonly #longest: Int32Array;
  #states = 1;
  /** Whole rows of transitions for the states that ordinary text is in nearly always: the first byte of some pattern. */
  readonly #row: Uint16Array;
  readonly #shallow: Int32Array;

  constructor(patterns: readonly Uint8Array[]) {
    this.empty = patterns.length === 0;
    const states = patterns.reduce((sum, pattern) => sum + pattern.length, 1);
    this.#chain = new Uint16Array(states).fill(noByte);
    this.#fail = new Int32Array(states);
    this.#depth = new Int32Array(states);
    this.#row = new Uint16Array(states);
    this.#longest = new Int32Array(states);
    for (const pattern of patterns) this.#insert(pattern);
    this.#link();
    this.#shallow = this.#shallowRows();
    this.sizeBytes = states * bytesPerState + this.#branches.size * bytesPerBranch + this.#shallow.byteLength;
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
    for (let state = 1; state < this.#states; state += 1) {
      if ((this.#chain[state]! & ~branchesBit) === byte) places.push(state + 1);
    }
    for (const [key, target] of this.#branches) if (key % 256 === byte) places.push(target);
    return places;
  }

  /** The places that one more byte leads to from any of these, without leaving the pattern. */
  placesNext(places: readonly number[], byte: number): number[] {
    return places.map((place) => this.#child(place, byte)).filter((place) => place !== noState);
  }

  #insert(pattern: Uint8Array): void {
    let state = 0;
    for (const byte of pattern) {
      let next = state === 0 ? this.#fromRoot[byte]! : this.#child(state, byte);
      if (next <= 0) {
        next = this.#states;
        this.#states += 1;
        this.#depth[next] = this.#depth[state]! + 1;
        this.#connect(state, byte, next);
      }
      state = next;
    }
    this.#longest[state] = pattern.length;
  }

  #connect(state: number, byte: number, next: number): void {
    if (state === 0) this.#fromRoot[byte] = next;
    else if (next === state + 1) this.#chain[state] = byte;
    else {
      this.#chain[state]! |= branchesBit;
      this.#branches.set(state * 256 + byte, next);
    }
  }

  /** Breadth first, so that the state a failure leads to is complete before it is read. Depth 1 fails to the root. */
  #link(): void {
    const parents = new Map<number, { readonly parent: number; readonly byte: number }>();
    for (const [key, next] of this.#branches) parents.set(next, { parent: Math.floor(key / 256), byte: key % 256 });
    for (const state of this.#byDepth()) {
      if (this.#depth[state]! < 2) continue;
      const branch = parents.get(state);
      const parent = branch?.parent ?? state - 1;
      const byte = branch?.byte ?? this.#chain[parent]! & ~branchesBit;
      const fallback = this.step(this.#fail[parent]!, byte);
      this.#fail[state] = fallback;
      this.#longest[state] = Math.max(this.#longest[state]!, this.#longest[fallback]!);
    }
  }

  /** All states, those nearer to the root first. */
  #byDepth(): Int32Array {
    const depths = this.#depth.subarray(0, this.#states);
    let deepest = 0;
    for (const depth of depths) if (depth > deepest) deepest = depth;
    const ends = new Int32Array(deepest + 2);
    for (const depth of depths) ends[depth + 1]! += 1;
    for (let depth = 1; depth < ends.length; depth += 1) ends[depth]! += ends[depth - 1]!;
    const ordered = new Int32Array(depths.length);
    for (const [state, depth] of depths.entries()) {
      ordered[ends[depth]!] = state;
      ends[depth]! += 1;
    }
    return ordered;
  }

  #shallowRows(): Int32Array {
    const states = this.#fromRoot.filter((state) => state !== 0);
    const rows = new Int32Array((states.length + 1) * 256);
    for (const [index, state] of states.entries()) {
      for (let byte = 0; byte < 256; byte += 1) rows[(index + 1) * 256 + byte] = this.step(state, byte);
    }
    // Only now: until here `step` had to go the long way.
    for (const [index, state] of states.entries()) this.#row[state] = index + 1;
    return rows;
  }

  #child(state: number, byte: number): number {
    const chain = this.#chain[state]!;
    if ((chain & ~branchesBit) === byte) return state + 1;
    if (chain < branchesBit) return noState;
    return this.#branches.get(state * 256 + byte) ?? noState;
  }
}
