// @ts-check
/** The messages in their order: put in once, and kept in their places whatever comes again. */

import { arrange, make, writeDay } from "../dom.js";
import { Answer, Question } from "./message.js";

export class List {
  /** @param {import("../chat.js").View} chat */
  constructor(chat) {
    this.chat = chat;
    this.items = new Map();
    const click = () => chat.socket.send({ type: "earlier", session: chat.session, before: this.order().find(({ footer, id }) => footer && id).id });
    this.earlier = make("button", { type: "button", class: "fg-earlier", hidden: true, click }, "Show earlier messages");
    this.log = make("div", { class: "fg-list", role: "log", "aria-live": "off", "aria-label": "Conversation", tabindex: "-1" });
  }

  get isEmpty() {
    return !this.log.querySelector("article");
  }

  findQuestion(answer) {
    const order = this.order();
    return order.slice(0, order.indexOf(answer)).findLast((item) => item instanceof Question) ?? null;
  }

  order() {
    return [...this.log.querySelectorAll("article")].map((element) => element.item);
  }

  add(item, { before = null } = {}) {
    item.element.item = item;
    this.log.insertBefore(item.element, before);
    return item;
  }

  addQuestion(text, files = []) {
    return this.add(new Question(this.chat, text, files));
  }

  addAnswer() {
    return this.add(new Answer(this.chat));
  }

  find(id) {
    return this.items.get(id) ?? null;
  }

  name(item, id) {
    item.id = id;
    this.items.set(id, item);
    return item;
  }

  remove(item) {
    if (item.id) this.items.delete(item.id);
    item.element.remove();
  }

  /** Takes away the question that is shown of these versions, and all after it; what that was. */
  cut(versions) {
    const order = this.order();
    const at = order.findIndex((item) => item.id && versions.includes(item.id));
    const removed = at < 0 ? [] : order.slice(at).filter((item) => item.id);
    for (const item of removed) this.remove(item);
    return removed;
  }

  restore(items) {
    for (const item of items) this.add(item.id ? this.name(item, item.id) : item);
    this.markDays();
  }

  take(message) {
    const known = this.find(message.id);
    const item = known ?? this.name(message.role === "user" ? new Question(this.chat, message.text) : new Answer(this.chat), message.id);
    item.element.item = item;
    item.store(message);
    return item;
  }

  /** These messages, and those that are `kept`, or that only this page has. What is there already keeps its element. */
  show(messages, { hasEarlier, kept }) {
    const first = hasEarlier && messages.length ? this.find(messages[0].id) : null;
    const before = this.order();
    const earlier = first ? before.slice(0, before.indexOf(first)) : []; // what leads to a message never changes
    const wanted = [...earlier, ...messages.map((message) => this.take(message))];
    for (const item of before.filter((one) => !wanted.includes(one))) {
      const next = item.isUnkept ? wanted.findIndex(({ at }) => item.at < at) : -1;
      if (!kept.has(item) && !(item.id && item.isUnkept)) this.remove(item);
      else wanted.splice(next < 0 ? wanted.length : next, 0, item);
    }
    arrange(this.log, wanted.map(({ element }) => element));
    if (!earlier.length) this.earlier.hidden = !hasEarlier;
    this.markDays();
  }

  prepend(messages, { hasEarlier }) {
    const first = this.log.firstElementChild;
    for (const message of messages) if (!this.find(message.id)) this.add(this.take(message), { before: first });
    this.earlier.hidden = !hasEarlier;
    this.markDays();
  }

  mark(sentence) {
    const last = this.order().at(-1);
    if (last) last.mark = sentence;
    this.markDays();
  }

  markDays() {
    for (const mark of this.log.querySelectorAll(".fg-day")) mark.remove();
    let before = null;
    for (const item of this.order()) {
      const day = item.at ? writeDay(item.at) : before;
      if (before && day !== before) this.log.insertBefore(make("p", { class: "fg-day" }, day), item.element);
      before = day;
      if (item.mark) item.element.after(make("p", { class: "fg-day" }, item.mark));
    }
  }

  /** The last answer of each turn has more below it. */
  settle() {
    let question = null;
    this.order().forEach((item, at, order) => {
      if (item instanceof Question) question = item;
      else item.setEnd(!(order[at + 1] instanceof Answer), question);
    });
  }

  redraw() {
    for (const item of this.order()) if (item instanceof Question || item.stored) item.draw();
  }

  clear() {
    for (const item of this.order()) item.drop?.();
    this.items.clear();
    this.log.replaceChildren();
    this.earlier.hidden = true;
  }
}
