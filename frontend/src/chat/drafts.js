// What was typed and not sent: kept in this browser, for each conversation of each person, until it is sent.

const PREFIX = "flowground:draft:";

export class Drafts {
  /** `person` is a name for who is here that tells nothing of them. Drafts of anybody else are thrown away. */
  constructor(person, flow, store = window.localStorage) {
    this.mine = `${PREFIX}${person}:`;
    this.here = `${this.mine}${flow}:`;
    this.store = store;
    this.attempt(() => {
      const names = Array.from({ length: store.length }, (_, number) => store.key(number));
      for (const name of names) if (name.startsWith(PREFIX) && !name.startsWith(this.mine)) store.removeItem(name);
    });
  }

  read(session) {
    return this.attempt(() => this.store.getItem(this.here + session)) ?? "";
  }

  keep(session, text) {
    this.attempt(() => {
      if (text) this.store.setItem(this.here + session, text);
      else this.store.removeItem(this.here + session);
    });
  }

  /** A browser that keeps nothing, or no more, is no reason to fail. */
  attempt(act) {
    try {
      return act();
    } catch {
      return undefined;
    }
  }
}
