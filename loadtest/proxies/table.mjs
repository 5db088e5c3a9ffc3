// Rounds of rows, and their medians as Markdown.

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const line = (cells) => `| ${cells.join(' | ')} |`;

function shown(figure, value) {
  if (value === undefined) return '–';
  return value.toFixed(/\/s$|GiB/.test(figure) ? 0 : / ms\b/.test(figure) ? 2 : 1);
}

export class Table {
  #figures = [];
  /** Rows of all rounds, by their titles. */
  #rounds = new Map();

  /** A row of a round: values by their figures. */
  add(title, row) {
    for (const figure of Object.keys(row)) if (!this.#figures.includes(figure)) this.#figures.push(figure);
    this.#rounds.set(title, [...(this.#rounds.get(title) ?? []), row]);
  }

  toString() {
    const cell = (rows, figure) => {
      const values = rows.map((row) => row[figure]).filter((value) => value !== undefined);
      return shown(figure, values.length === 0 ? undefined : median(values));
    };
    const rows = [...this.#rounds].map(([title, own]) => line([title, ...this.#figures.map((figure) => cell(own, figure))]));
    return [line(['proxy', ...this.#figures]), line(['---', ...this.#figures.map(() => '---:')]), ...rows].join('\n');
  }
}
