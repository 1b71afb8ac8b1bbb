// The line breaks in a text that is read as if it had none: how far back so many of its other bytes reach. In
// logarithmic time, since a long value may be printed a character a line.

/** So many that are no longer needed are dropped at once. */
const DROP_AT_LEAST = 1024;

export class LineBreaks {
  /** Where they are, in order. */
  #positions: number[] = [];
  /** How many were dropped from the front. */
  #dropped = 0;

  /** Adds the one at `position`; none before `neededFrom` will be asked for again. */
  add(position: number, neededFrom: number): void {
    const first = this.#firstWhere((index) => this.#positions[index]! >= neededFrom);
    if (first >= DROP_AT_LEAST) {
      this.#positions = this.#positions.slice(first);
      this.#dropped += first;
    }
    this.#positions.push(position);
  }

  /** Where the last `length` bytes before `end` begin when line breaks among them do not count. */
  startOf(length: number, end: number): number {
    const start = end - this.#dropped - this.#positions.length - length;
    const first = this.#firstWhere((index) => this.#positions[index]! - this.#dropped - index > start);
    return end - length - (this.#positions.length - first);
  }

  /** The first index for which `holds`, which then does for all after it; the number of positions when for none. */
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
