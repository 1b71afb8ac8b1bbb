// Maps lengths without line breaks to offsets in a text that has them. Takes logarithmic time, since a long value may be
// printed one character per line.

/** Positions that are no longer needed are dropped in batches of at least this many. */
const DROP_AT_LEAST = 1024;

export class LineBreaks {
  /** Offsets of the line breaks, in order. */
  #positions: number[] = [];
  /** How many were dropped from the front. */
  #dropped = 0;

  /** Adds a line break; those before `neededFrom` are no longer needed. */
  add(position: number, neededFrom: number): void {
    const first = this.#firstWhere((index) => this.#positions[index]! >= neededFrom);
    if (first >= DROP_AT_LEAST) {
      this.#positions = this.#positions.slice(first);
      this.#dropped += first;
    }
    this.#positions.push(position);
  }

  /** The offset at which the last `length` bytes before `end` begin, not counting line breaks. */
  startOf(length: number, end: number): number {
    const start = end - this.#dropped - this.#positions.length - length;
    const first = this.#firstWhere((index) => this.#positions[index]! - this.#dropped - index > start);
    return end - length - (this.#positions.length - first);
  }

  /** Binary search: the first index for which `holds` (as for all later ones), or the number of positions. */
  #firstWhere(holds: (index: number) => boolean): number {
    let from = 0;
    let to = this.#positions.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (holds(middle)) to = middle;
      else from = middle + 1;
    }
    return from;
  }
}
