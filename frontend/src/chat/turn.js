// The turn that is being taken: said here or elsewhere, waited for, and followed to its end.

/** What was said on this page and is not begun yet. */
export class Pending {
  constructor(id, text, { files, question, answer }) {
    Object.assign(this, { id, text, files, question, answer });
  }
}

/** A run whose answers come; `answers` are drawn messages by their ids, `unnamed` is one whose id is not known yet. */
export class Turn {
  constructor({ run, number = 0, elsewhere = false, unnamed = null }, answers) {
    Object.assign(this, { run, number, elsewhere, unnamed, answers });
  }

  get first() {
    return this.unnamed ?? this.answers.values().next().value;
  }

  /** What to say when the socket came back; null where nothing was heard yet. */
  get after() {
    return this.number ? { run: this.run, number: this.number } : null;
  }

  add({ answer, at, text, number, citations }) {
    this.number = Math.max(this.number, number);
    this.answers.get(answer)?.add(at, text, citations);
  }
}
