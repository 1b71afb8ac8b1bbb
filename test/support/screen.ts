// What a terminal shows after the escape sequences that redraw lines.

/** A terminal that moves the cursor up, down and to a column, and erases lines. */
export class Screen {
  lines = [''];
  #row = 0;
  #column = 0;

  take(text: string): void {
    for (const [token, digits, command] of text.matchAll(/\n|\p{Cc}\[(\d*)([A-Z])|\P{Cc}+/gu)) {
      const count = Number(digits || 1);
      if (token === '\n') [this.#row, this.#column] = [this.#row + 1, 0];
      else if (command === undefined) this.#write(token);
      else if (command === 'A') this.#row -= count;
      else if (command === 'B') this.#row += count;
      else if (command === 'G') this.#column = count - 1;
      else if (command === 'K') this.lines[this.#row] = digits === '2' ? '' : this.#left();
      else throw new Error(`a terminal would obey ${JSON.stringify(token)}`);
      this.lines[this.#row] ??= '';
    }
    this.lines.length = this.#row + 1;
  }

  #left = () => (this.lines[this.#row] ?? '').slice(0, this.#column);

  #write(text: string): void {
    this.lines[this.#row] = this.#left() + text;
    this.#column += text.length;
  }
}
