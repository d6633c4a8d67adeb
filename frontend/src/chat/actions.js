// @ts-check
/** What models did on the way to an answer: a quiet line for each tool that was called and each thought, which opens. */

import { count, icon, join, make, makeFold, writeSeconds, writeTokens } from "../dom.js";
import { drawValue, findValue } from "./value.js";

const TAKEN = ["Input", "Request"];
/** Lines that stand for themselves; more are one line once the answer is there. */
const FEW = 3;
const STATES = { running: "running", waiting: "needs your approval", failed: "failed", refused: "refused", stopped: "stopped" };
const IN_CHAT = "“In this chat” allows every call of this tool, whatever it is called with.";
const DECISIONS = [["once", "Allow once"], ["chat", "Allow in this chat"], ["refuse", "Refuse"]];

export class Actions {
  /** `say(sentence)` tells those who listen, `decide(action, decision)` the server what a person says of a call. */
  constructor(say, decide) {
    this.say = say;
    this.decide = decide;
    this.fold = null;
    this.lines = new Map();
    this.list = make("div", { class: "fg-actions-list" });
    this.element = make("div", { class: "fg-actions", role: "group", "aria-label": "What was done for this answer", hidden: true }, this.list);
  }

  take(actions, { isLive = false } = {}) {
    for (const action of actions) {
      const known = this.lines.get(action.number);
      const line = known ?? this.begin(action);
      line.draw(action);
      if (isLive) this.tell(action, known);
    }
    this.element.hidden = !this.lines.size;
  }

  tell({ kind, name, within, state }, known) {
    if (state === "waiting") this.say(`${name} needs your approval: allow or refuse it.`);
    else if (!known && kind === "call" && within == null) this.say(`Using ${name}.`);
  }

  begin(action) {
    const line = new Line(action.kind, (decision) => this.decide(action.number, line.digest, decision));
    this.lines.set(action.number, line);
    (this.lines.get(action.within)?.inner ?? this.list).append(line.element);
    return line;
  }

  /** The answer has its end: what is still open was stopped, and many lines are one that opens. */
  end(actions = []) {
    this.take(actions);
    const told = new Set(actions.map(({ number }) => number));
    for (const [number, line] of this.lines) {
      if (told.has(number)) continue;
      line.element.remove();
      this.lines.delete(number);
    }
    this.element.hidden = !this.lines.size;
    const calls = actions.filter(({ kind, within }) => kind === "call" && within == null);
    if (this.list.childElementCount <= FEW || this.fold) return;
    const ends = ["failed", "refused", "stopped"].map((state) => [state, calls.filter((call) => call.state === state).length]);
    const title = calls.length ? count(calls.length, "tool call") : count(this.list.childElementCount, "thought");
    const figures = join(listNames(calls), ...ends.map(([state, number]) => (number ? `${number} ${state}` : "")));
    const summary = make("summary", {}, make("span", { class: "fg-action-name" }, title), make("span", { class: "fg-figures" }, figures));
    this.fold = make("details", { class: "fg-action" }, summary);
    this.list.before(this.fold);
    this.fold.append(this.list);
  }
}

/** "Search, Calculator": each once, the first few. */
function listNames(calls) {
  const names = [...new Set(calls.map(({ name }) => name))];
  return names.length > FEW ? `${names.slice(0, FEW).join(", ")}, …` : names.join(", ");
}

/** One call or thought, with those within it. It opens where there is something to see. */
class Line {
  constructor(kind, decide) {
    this.kind = kind;
    this.decide = decide;
    this.told = this.digest = this.ways = null;
    this.drawn = make("p");
    this.inner = make("div", { class: "fg-actions-list fg-actions-within" });
    this.element = make("div", { class: "fg-action-line" }, this.drawn, this.inner);
  }

  draw(action) {
    const told = JSON.stringify(action);
    if (told === this.told) return;
    this.told = told;
    this.element.dataset.state = action.state;
    const head = [icon(this.kind === "call" ? "tool" : "thought"), make("span", { class: "fg-action-name", dir: "auto" }, this.name(action)), make("span", { class: "fg-figures" }, this.figures(action))];
    const parts = listParts(action);
    this.digest = action.digest;
    const drawn = action.state === "waiting" ? this.drawQuestion(head, parts, action.always) : parts.length ? this.drawFold(head, parts) : make("p", { class: "fg-action" }, ...head);
    this.drawn.replaceWith(drawn);
    this.drawn = drawn;
  }

  name({ name, state, seconds }) {
    if (this.kind === "call") return state === "waiting" ? spell(name) : name;
    return state === "running" ? "Thinking …" : join(seconds ? `Thought for ${writeSeconds(seconds)}` : "Thought");
  }

  figures({ state, seconds, tokens }) {
    if (this.kind !== "call") return "";
    const spent = state === "done" || state === "failed" ? [writeSeconds(seconds), writeTokens(tokens)] : [];
    return join(STATES[state] ?? "", ...spent);
  }

  drawQuestion(head, parts, isAlwaysAsked) {
    const decisions = DECISIONS.filter(([decision]) => decision !== "chat" || !isAlwaysAsked);
    const ways = decisions.map(([decision, label]) => make("button", { type: "button", class: "fg-way", "data-does": decision, click: () => this.answer(decision) }, label));
    this.ways = make("div", { class: "fg-action-ways" }, ...ways);
    const asks = make("p", { class: "fg-action" }, ...head);
    return make("div", { class: "fg-action-question", role: "group", "aria-label": "A tool needs your approval" }, asks, ...parts.map(drawPart), this.ways, isAlwaysAsked ? null : make("p", { class: "fg-figures" }, IN_CHAT));
  }

  answer(decision) {
    for (const way of this.ways.children) way.disabled = true;
    this.decide(decision);
  }

  drawFold(head, parts) {
    const had = this.drawn.contains(document.activeElement);
    const fold = makeFold({ class: "fg-action", open: this.drawn.open }, head, () => parts.map(drawPart));
    if (had) queueMicrotask(() => fold.firstElementChild.focus({ preventScroll: true }));
    return fold;
  }
}

function listParts({ kind, takes, gives, state, sends }) {
  const title = kind === "thought" ? "" : state === "failed" ? "Why it failed" : state === "refused" ? "Why" : "Output";
  const parts = [];
  if (sends) parts.push(["Request", sends]);
  else if (takes && takes !== "{}") parts.push([state === "waiting" ? "Request" : "Input", takes]);
  if (gives || (kind === "call" && gives === "")) parts.push([title, gives || "(no result)"]);
  return parts;
}

/** Characters that are not seen, or turn others round, as what they are: `\u202e`. */
const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
/** So many that what comes behind them may be out of sight. */
const BLANKS = /[\s\u2800]{40,}/gu;
const spell = (text) => text.replace(BLANKS, (many) => ` (${many.length} blanks) `).replace(UNSEEN, (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);

function drawPart([title, written]) {
  const isAsked = title === "Request", value = title ? findValue(written) : null;
  const drawn = value
    ? drawValue(value, { name: "tool", hasCopy: true, spell: isAsked ? spell : null })
    : make("pre", { class: "fg-step-text", tabindex: "0", dir: "auto" }, isAsked ? spell(written) : written);
  return make("div", { class: TAKEN.includes(title) ? "fg-part fg-took" : "fg-part" }, title ? make("p", { class: "fg-part-title" }, title) : null, drawn);
}
