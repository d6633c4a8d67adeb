/** A block of code that still grows: its lines are added as they come, and nothing of it is read again. */

const OPENING = /^(`{3,}|~{3,})[^\n]*\n/;

export class Fence {
  /** The fence that the open part is, or null where it has its end. */
  static find(part, pending) {
    const found = part.type === "code" && part.element && pending.startsWith(part.source) && OPENING.exec(pending);
    if (!found) return null;
    const fence = new Fence(part, found);
    return pending.slice(fence._opening).split("\n").some((line) => fence._closing.test(line)) ? null : fence;
  }

  constructor(part, found) {
    this._code = part.element.querySelector("code");
    this._opening = found[0].length;
    const [mark] = found[1];
    this._closing = new RegExp(`^ {0,3}${mark}{${found[1].length},}[ \\t]*$`);
    this._maybe = new RegExp(`^ {0,3}${mark}*[ \\t]*$`);
    this._hasLines = false;
  }

  /** What stands behind the opening line; the code is written anew, once. */
  begin(pending) {
    const { ownerDocument } = this._code;
    this._lines = ownerDocument.createTextNode("");
    this._last = ownerDocument.createTextNode("");
    this._code.replaceChildren(this._lines, this._last);
    return this.take(pending.slice(this._opening), false).text;
  }

  /** Adds whole lines; `{text, isClosed}` says what is left. */
  take(text, isLast) {
    const added = [];
    let at = 0, isClosed = false;
    for (let end; !isClosed && (end = text.indexOf("\n", at)) >= 0; at = end + 1) {
      const line = text.slice(at, end);
      isClosed = this._closing.test(line);
      if (!isClosed) added.push(line);
    }
    let last = isClosed ? "" : text.slice(at);
    if (isLast && !isClosed) {
      isClosed = true;
      if (last && !this._closing.test(last)) added.push(last);
      last = "";
      at = text.length;
    }
    if (added.length) {
      this._lines.data += (this._hasLines ? "\n" : "") + added.join("\n");
      this._hasLines = true;
    }
    this._last.data = this._maybe.test(last) ? "" : (this._hasLines ? "\n" : "") + last;
    if (isClosed) this._code.replaceChildren(...(this._lines.data ? [this._lines.data] : []));
    return { text: text.slice(at), isClosed };
  }
}
