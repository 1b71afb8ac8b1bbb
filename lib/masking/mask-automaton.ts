// The automaton (Aho–Corasick) of the masker: finds many byte patterns in one scan. Long patterns are long chains, so
// states are numbered in the order of creation, and most states only need to know that their child is the next one. The
// fallback of a state is computed when a text first needs it: ordinary text visits only a few hundred of the million
// states of long values. Matches do not depend on earlier texts, so any number of streams may share one automaton.

const NO_STATE = -1;
/** In `#chain`: no byte leads to the next state. */
const NO_BYTE = 256;
/** In `#chain`: other bytes lead to other states. */
const BRANCHES_BIT = 512;
const BYTES_PER_STATE = 16;
/** Approximate size of a Map entry. */
const BYTES_PER_BRANCH = 48;

/** Recognises a set of byte patterns. State 0 is the root: nothing of any pattern has been seen. */
export class Automaton {
  readonly empty: boolean;
  /** Approximate memory use. */
  readonly sizeBytes: number;
  readonly #fromRoot = new Int32Array(256);
  /** For each state except the root, the byte that leads to the next state. */
  readonly #chain: Uint16Array;
  /** All other transitions, by state * 256 + byte: at most one for each pattern. */
  readonly #branches = new Map<number, number>();
  /** The parent of a state, where it is not the state before. */
  readonly #parents = new Map<number, number>();
  /** For each state, one more than its fallback state; 0 while unknown. */
  readonly #fallback: Int32Array;
  readonly #depth: Int32Array;
  /** The longest pattern that ends in a state; until its fallback is known, only of patterns through this state. */
  readonly #longest: Int32Array;
  #states = 1;
  /** Full transition rows of the states after the first byte of a pattern: ordinary text is nearly always in these. */
  readonly #row: Uint16Array;
  readonly #shallow: Int32Array;

  constructor(patterns: readonly Uint8Array[]) {
    this.empty = patterns.length === 0;
    const states = patterns.reduce((sum, pattern) => sum + pattern.length, 1);
    this.#chain = new Uint16Array(states).fill(NO_BYTE);
    this.#fallback = new Int32Array(states);
    this.#depth = new Int32Array(states);
    this.#row = new Uint16Array(states);
    this.#longest = new Int32Array(states);
    this.#fallback[0] = 1;
    for (const pattern of patterns) this.#insert(pattern);
    this.#shallow = this.#shallowRows();
    this.sizeBytes = states * BYTES_PER_STATE + this.#branches.size * BYTES_PER_BRANCH + this.#shallow.byteLength;
  }

  /** The state after one more byte. */
  step(from: number, byte: number): number {
    if (from === 0) return this.#fromRoot[byte]!;
    const row = this.#row[from]!;
    if (row !== 0) return this.#shallow[row * 256 + byte]!;
    let state = from;
    while (state !== 0) {
      const next = this.#child(state, byte);
      if (next !== NO_STATE) return next;
      state = this.#fallbackOf(state);
    }
    return this.#fromRoot[byte]!;
  }

  /** How many of the last bytes are the beginning of a pattern. */
  depth(state: number): number {
    return this.#depth[state]!;
  }

  /** The length of the longest pattern that ends here; 0 when none does. */
  longestMatch(state: number): number {
    if (this.#fallback[state] === 0) this.#resolve(state);
    return this.#longest[state]!;
  }

  /** Every offset in a pattern that this byte leads to from the offset before. */
  offsetsAfter(byte: number): number[] {
    const offsets: number[] = [];
    for (let state = 1; state < this.#states; state += 1) {
      if ((this.#chain[state]! & ~BRANCHES_BIT) === byte) offsets.push(state + 1);
    }
    for (const [key, target] of this.#branches) if (key % 256 === byte) offsets.push(target);
    return offsets;
  }

  /** The offsets that this byte leads to from any of `offsets`, within the pattern. */
  offsetsNext(offsets: readonly number[], byte: number): number[] {
    return offsets.map((offset) => this.#child(offset, byte)).filter((offset) => offset !== NO_STATE);
  }

  #insert(pattern: Uint8Array): void {
    let state = 0;
    let known = 0;
    for (; known < pattern.length; known += 1) {
      const next = this.#child(state, pattern[known]!);
      if (next === NO_STATE) break;
      state = next;
    }
    if (known < pattern.length) state = this.#append(state, pattern, known);
    this.#longest[state] = pattern.length;
  }

  /** Adds states for a pattern from its byte `known` on, below `state`; returns the last one. */
  #append(state: number, pattern: Uint8Array, known: number): number {
    const first = this.#states;
    const count = pattern.length - known;
    this.#states += count;
    this.#connect(state, pattern[known]!, first);
    this.#chain.set(pattern.subarray(known + 1), first);
    for (let added = 0; added < count; added += 1) this.#depth[first + added] = known + 1 + added;
    return first + count - 1;
  }

  #connect(state: number, byte: number, next: number): void {
    if (state === 0) {
      this.#fromRoot[byte] = next;
      this.#fallback[next] = 1;
    } else if (next === state + 1) this.#chain[state] = byte;
    else {
      this.#chain[state]! |= BRANCHES_BIT;
      this.#branches.set(state * 256 + byte, next);
      this.#parents.set(next, state * 256 + byte);
    }
  }

  #fallbackOf(state: number): number {
    if (this.#fallback[state] === 0) this.#resolve(state);
    return this.#fallback[state]! - 1;
  }

  /** Computes the fallback of a state, after those that it depends on. */
  #resolve(state: number): void {
    const open = [state];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const found = this.#fallback[top] === 0 ? this.#findFallback(top) : undefined;
      if (found === undefined) open.pop();
      else open.push(found);
    }
  }

  /** Undefined when found; else a state nearer to the root, whose fallback must be known first. */
  #findFallback(state: number): number | undefined {
    const key = this.#parents.get(state);
    const parent = key === undefined ? state - 1 : Math.floor(key / 256);
    const byte = key === undefined ? this.#chain[parent]! & ~BRANCHES_BIT : key % 256;
    let target = NO_STATE;
    let from = parent;
    while (target === NO_STATE && from !== 0) {
      if (this.#fallback[from] === 0) return from;
      from = this.#fallback[from]! - 1;
      target = this.#child(from, byte);
    }
    target = Math.max(0, target);
    if (target !== 0 && this.#fallback[target] === 0) return target;
    this.#fallback[state] = target + 1;
    this.#longest[state] = Math.max(this.#longest[state]!, this.#longest[target]!);
    return undefined;
  }

  #shallowRows(): Int32Array {
    const states = this.#fromRoot.filter((state) => state !== 0);
    const rows = new Int32Array((states.length + 1) * 256);
    for (const [index, state] of states.entries()) {
      for (let byte = 0; byte < 256; byte += 1) rows[(index + 1) * 256 + byte] = this.step(state, byte);
    }
    // Set last: until now `step` must compute without the rows.
    for (const [index, state] of states.entries()) this.#row[state] = index + 1;
    return rows;
  }

  #child(state: number, byte: number): number {
    if (state === 0) return this.#fromRoot[byte]! || NO_STATE;
    const chain = this.#chain[state]!;
    if ((chain & ~BRANCHES_BIT) === byte) return state + 1;
    if (chain < BRANCHES_BIT) return NO_STATE;
    return this.#branches.get(state * 256 + byte) ?? NO_STATE;
  }
}
