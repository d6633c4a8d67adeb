/** Which lines of a text are shown as the letters they have, because to read their Markdown could take long.
 *
 * The reader's work may grow with the square of the marks in one paragraph, and of the containers around a line.
 * Nobody writes as many; code is left alone, since its marks mean nothing.
 */

const MARKS = /[*_~[\]`<&!|:@\\$]/g;
const MOST_MARKS = 1_500;
const MOST_TEXT = 30_000;
const MOST_LINES = 500;
const MOST_CONTAINERS = 20;
const DEEP = new RegExp(`^(?:[ \\t]*(?:>|[-+*](?=[ \\t]|$)|\\d{1,9}[.)](?=[ \\t]|$))){${MOST_CONTAINERS}}|^[ \\t]{80}`);
const FENCE = /^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})([^\n]*)$/;
const ITEM = /^[ \t>]*(?:[-+*]|\d{1,9}[.)])[ \t]/;
const BLANK = /^[ \t>]*$/;

/** `[start, end]` of each such stretch, in order. */
export function findWalls(text) {
  return new Walls(text).find();
}

class Walls {
  constructor(text) {
    this.text = text;
    this.walls = [];
    this.fence = null;
    this.begin();
  }

  /** A new paragraph. */
  begin(at = -1) {
    this.start = at;
    this.marks = this.lines = 0;
    this.isWall = false;
  }

  find() {
    let at = 0;
    for (const line of this.text.split("\n")) {
      this.take(line, at);
      at += line.length + 1;
    }
    this.finish(this.text.length);
    return this.walls;
  }

  take(line, at) {
    const fence = FENCE.exec(line);
    if (this.fence) {
      if (fence && fence[1].startsWith(this.fence) && !fence[2].trim()) this.fence = null;
      return;
    }
    if (fence && !(fence[1][0] === "`" && fence[2].includes("`"))) {
      this.finish(at);
      this.fence = fence[1];
    } else if (BLANK.test(line) && !DEEP.test(line)) this.finish(at);
    else {
      if (!this.isWall && (ITEM.test(line) || /^[ \t>]*\|/.test(line))) this.begin(at);
      if (this.start < 0) this.begin(at);
      this.marks += line.match(MARKS)?.length ?? 0;
      this.lines += 1;
      this.isWall ||= this.marks > MOST_MARKS || this.lines > MOST_LINES || at + line.length - this.start > MOST_TEXT || DEEP.test(line);
    }
  }

  finish(at) {
    if (this.isWall) this.walls.push([this.start, Math.max(this.start, at - 1 + (at === this.text.length ? 1 : 0))]);
    this.begin();
  }
}
