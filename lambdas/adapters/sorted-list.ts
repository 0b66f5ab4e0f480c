/**
 * Distinct texts in ascending order of their UTF-16 units, which for our keys is the order of their bytes. Almost all are
 * added at or near the end, where adding costs next to nothing.
 */
export class SortedList {
  readonly #texts: string[] = [];

  add(text: string): void {
    const index = this.#firstFrom(text);
    if (this.#texts[index] !== text) this.#texts.splice(index, 0, text);
  }

  remove(text: string): void {
    const index = this.#firstFrom(text);
    if (this.#texts[index] === text) this.#texts.splice(index, 1);
  }

  /** At most `limit`, ascending, beginning at `from` and ending before `until`. */
  between({ from, until }: { from: string | undefined; until: string | undefined }, limit: number): string[] {
    const begin = from === undefined ? 0 : this.#firstFrom(from);
    const end = until === undefined ? this.#texts.length : this.#firstFrom(until);
    return this.#texts.slice(begin, Math.min(end, begin + limit));
  }

  /** All from this one on, ascending, as long as somebody asks. */
  *since(text: string): Generator<string> {
    for (let index = this.#firstFrom(text); index < this.#texts.length; index += 1) yield this.#texts[index] as string;
  }

  /** At most `limit` that pass, descending, beginning below `text`, or at the end. */
  before(text: string | undefined, limit: number, passes: (text: string) => boolean = () => true): string[] {
    const found: string[] = [];
    for (
      let index = (text === undefined ? this.#texts.length : this.#firstFrom(text)) - 1;
      index >= 0 && found.length < limit;
      index -= 1
    ) {
      const each = this.#texts[index] as string;
      if (passes(each)) found.push(each);
    }
    return found;
  }

  /** Index of the first text that is not below this one. */
  #firstFrom(text: string): number {
    let low = 0;
    let high = this.#texts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#texts[middle] as string) < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
