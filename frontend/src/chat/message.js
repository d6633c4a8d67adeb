// @ts-check
/** One message: a question in its bubble, or an answer with what it cost and what can be done with it. */

import { count, fit, icon, isSending, isTouched, join, make, makeCopyButton, makeIconButton, roundSeconds, writeMoment, writeSeconds, writeSentence, writeSize, writeTime, writeTokens } from "../dom.js";
import { Growing, Sources, render } from "../markdown.js";
import { Actions } from "./actions.js";
import { drawSent } from "./files.js";
import { drawSteps } from "./steps.js";
import { drawValue, readValue } from "./value.js";

const INTERRUPTED = "Interrupted: the server stopped while it wrote this.";
const INTERRUPTED_AT_ONCE = "This was interrupted before any of the answer was saved.";
const NOTHING = { true: "The model answered with nothing.", false: "The answer is empty." };
const CUT = {
  length: "This answer was cut: it reached the longest that its model may write.",
  content_filter: "The model's server left a part of this answer out.",
};
const WENT_ON = "A part of the flow failed; this answer was made without it.";
const NO_ANSWER = "The flow has no answer to this: none of its outputs ran.";

const makeTime = (at) => (at ? make("time", { datetime: at, title: writeMoment(at) }, writeTime(at)) : null);

/** @typedef {import("../chat.js").View} View */

/** `versions` are ids of questions that stand in this one's place, alike texts together. */
export class Question {
  /** @param {View} chat */
  constructor(chat, text, files = []) {
    this.chat = chat;
    this.versions = [];
    this.id = null;
    this.draft = null;
    this.mark = null;
    this.isUnkept = false;
    this.tweaks = {};
    this.bubble = make("div", { class: "fg-bubble", dir: "auto" }, text);
    this.footer = make("div", { class: "fg-footer" });
    this.element = make("article", { class: "fg-question", "aria-label": "You" });
    this.text = text;
    this.at = null;
    this.showFiles(files);
    this.close({ isSent: true });
    this.draw();
  }

  showFiles(files) {
    if (JSON.stringify(files) === JSON.stringify(this.files)) return;
    this.files = files;
    this.sent?.remove();
    this.sent = drawSent(files, (what, asked) => this.chat.address(what, asked));
    if (this.sent) this.element.prepend(this.sent);
  }

  store({ id, text, at, versions = [], files = [] }) {
    if (text !== this.text) this.bubble.textContent = text;
    this.bubble.hidden = !text && files.length > 0;
    this.showFiles(files);
    const isOther = JSON.stringify([id, at, versions]) !== JSON.stringify([this.id, this.at, this.versions]);
    Object.assign(this, { id, text, at, versions });
    if (isOther) this.draw();
  }

  get alike() {
    return this.versions.find((ids) => ids.includes(this.id)) ?? [];
  }

  draw() {
    const { chat, versions } = this;
    const newest = versions.map((ids) => ids.at(-1));
    const canEdit = this.id && chat.canRetry;
    const left = [makeTime(this.at), this.text && makeCopyButton("Copy the question", () => this.text)];
    if (canEdit) left.push(makeIconButton("edit", "Edit", () => this.edit(), { class: "fg-icon fg-idle fg-edit" }), makeVersions(newest, versions.indexOf(this.alike), chat));
    this.footer.replaceChildren(...left.filter(Boolean));
  }

  /** The bubble becomes a field, with what was typed in it before. */
  edit(text = this.draft ?? this.text) {
    this.draft = text;
    const act = {
      keep: (typed) => {
        this.draft = typed;
        this.chat.reveal(element);
      },
      cancel: () => this.close(),
      send: (typed) => this.chat.edit(this, typed) && this.close({ isSent: true }),
    };
    const { element, open } = makeEditor(text, act);
    this.element.replaceChildren(this.sent ?? "", element);
    this.element.dataset.state = "editing";
    open();
    this.chat.reveal(element);
  }

  close({ isSent = false } = {}) {
    if (isSent) this.draft = null;
    delete this.element.dataset.state;
    this.bubble.hidden = !this.text && this.files.length > 0;
    this.element.replaceChildren(this.sent ?? "", this.bubble, this.footer);
    if (!isSent) this.footer.querySelector(".fg-edit")?.focus({ preventScroll: true });
  }
}

export class Answer {
  /** @param {View} chat */
  constructor(chat) {
    this.chat = chat;
    this.id = this.question = this.waiting = this.steps = this.rating = this.mark = null;
    this.isUnkept = false;
    this.tweaks = {};
    this.end = 0;
    this.stored = null;
    this.at = this.value = this.written = null;
    this.isEnd = false;
    this.alike = "";
    this.body = make("div", { class: "fg-body" });
    const avatar = make("div", { class: "fg-avatar", "aria-hidden": "true" }, chat.data.icon || icon("flow"));
    this.element = make("article", { class: "fg-answer", "aria-label": chat.data.title }, avatar, this.body);
    this.sender = make("p", { class: "fg-sender", hidden: true });
    this.sources = new Sources();
    this.below = make("div", { class: "fg-below" });
    this.body.append(this.sender, this.sources.element, this.below);
    this.parts = [];
    this.beginPart(0);
  }

  /** What was done before the character `from` of the answer, and what it says from there on. */
  beginPart(from) {
    const { chat } = this, text = make("div", { class: "fg-text", dir: "auto" });
    const decide = (call, digest, decision) => chat.turn && chat.socket.send({ type: "decide", run: chat.turn.run, call, digest, decision });
    const actions = new Actions((sentence) => chat.speak(sentence), decide);
    this.sources.element.before(actions.element, text);
    return this.parts[this.parts.push({ from, actions, text, growing: null }) - 1];
  }

  findPart({ number, within, after = 0 }) {
    const known = this.parts.find(({ actions: { lines } }) => lines.has(number) || lines.has(within));
    return known ?? this.parts.find(({ from }) => from >= after) ?? this.beginPart(after);
  }

  wait(label = "Thinking …") {
    if (this.end) return;
    this.element.dataset.state = "running";
    if (this.waiting?.isConnected && this.waiting.textContent === label) return;
    this.waiting = make("p", { class: "fg-wait" }, label);
    this.below.replaceChildren(this.waiting);
  }

  act(actions, { isLive = true } = {}) {
    for (const action of actions) this.findPart(action).actions.take([action], { isLive });
  }

  showProgress(frame) {
    if (this.end) return;
    this.element.dataset.state = "running";
    this.below.replaceChildren(drawProgress(frame));
  }

  /** A piece that begins at the character `at` of the answer; what is there already is not added again. */
  add(at, text, citations = []) {
    if (at === 0 && this.end) this.empty();
    this.sources.add(citations);
    const letters = Array.from(text);
    let start = Math.max(at, this.end);
    const fresh = letters.slice(start - at);
    while (fresh.length) {
      const place = this.parts.findLastIndex(({ from }) => from <= start);
      const piece = fresh.splice(0, (this.parts[place + 1]?.from ?? Infinity) - start);
      this.grow(this.parts[place], piece.join(""));
      start += piece.length;
    }
    this.end = start;
  }

  grow(part, text) {
    if (!part.growing) {
      this.below.replaceChildren();
      this.element.dataset.state = "growing";
      part.growing = new Growing(part.text, { sources: this.sources, onSentence: (sentence) => this.chat.speak(sentence) });
    }
    part.growing.add(text);
  }

  drop() {
    for (const part of this.parts) part.growing?.drop();
  }

  empty() {
    this.drop();
    for (const part of this.parts) {
      part.growing = null;
      part.text.replaceChildren();
    }
    this.end = 0;
    this.showValue();
  }

  /** The answer as it is stored. Its text is drawn only where it is not there already. */
  store(message) {
    const text = message.text ?? this.parts.map(({ growing }) => growing?.text ?? "").join("");
    const isCut = message.state !== "complete";
    this.sender.textContent = message.sender_name ?? ""; // of a message that the flow stored beside its answers
    this.sender.hidden = !message.sender_name;
    const isDrawn = this.sources.show(message.citations, message.sources);
    const actions = message.actions ?? [];
    this.act(actions, { isLive: false });
    if (message.value || !text.trim()) this.empty();
    else this.drawParts(text, { isDrawn, isCut });
    this.end = text ? Math.max(this.end, 1) : 0;
    this.showValue(message.value);
    for (const part of this.parts) part.actions.end(actions.filter(({ number }) => part.actions.lines.has(number)));
    this.stored = { ...message, text };
    this.at = message.at;
    this.element.dataset.state = message.state;
    this.draw();
  }

  drawParts(text, { isDrawn, isCut }) {
    const letters = this.parts.length > 1 ? Array.from(text) : null;
    this.parts.forEach((part, place) => {
      const to = this.parts[place + 1]?.from;
      const wanted = letters ? letters.slice(part.from, to).join("") : text;
      if (isDrawn && part.growing?.text === wanted) return part.growing.end({ isCut: isCut && to === undefined });
      part.growing?.drop();
      part.growing = render(part.text, wanted, { isCut, sources: this.sources });
    });
  }

  /** An answer that is records, data or files stands there as such, in the place of its text. */
  showValue(written = null) {
    if (written === this.written) return;
    this.written = written;
    this.value?.remove();
    this.value = written ? drawValue(readValue(written), { name: "answer", address: (what, asked) => this.chat.address(what, asked) }) : null;
    if (this.value) this.parts.at(-1).text.after(this.value);
  }

  /** For what stands below the last answer of a turn: it is that of `question`. */
  setEnd(isEnd, question) {
    const alike = isEnd && question ? question.alike.join() : "";
    if (this.isEnd === isEnd && this.alike === alike) return;
    Object.assign(this, { isEnd, alike, question });
    if (this.stored) this.draw();
  }

  get isEmpty() {
    return this.stored.state === "complete" && !this.stored.text.trim();
  }

  draw() {
    const { state, error, text, notes = [], is_skipped, by_model, finish_reason, went_on } = this.stored;
    const said = [
      this.isEmpty && (is_skipped ? NO_ANSWER : NOTHING[by_model]),
      state === "interrupted" && (text ? INTERRUPTED : INTERRUPTED_AT_ONCE),
      CUT[finish_reason],
      ...notes,
      went_on && WENT_ON,
      state === "stopped" && error?.text,
    ];
    const marks = said.filter(Boolean).map((sentence) => make("p", { class: "fg-mark" }, sentence));
    this.below.replaceChildren(...marks, state === "failed" && error ? this.drawError(error) : "", this.drawFooter());
  }

  drawError({ text, hint, lacks_documents: lacks }) {
    if (lacks) return drawLack(text, this.chat.data.adds_documents && this.chat.data.flow);
    const said = make("div", {}, make("p", {}, ...writeSentence(text)), hint ? make("p", { class: "fg-hint" }, ...writeSentence(hint)) : null);
    return make("div", { class: "fg-error" }, icon("alert"), said);
  }

  drawFooter() {
    const { stored, chat } = this;
    const left = [];
    const canRetry = this.isEnd && chat.canRetry;
    const isWanted = stored.state === "complete" || (stored.state === "stopped" && !stored.error);
    const canHelp = !stored.error?.is_final;
    const isBad = !isWanted || (this.isEmpty && this.stored.by_model);
    const retry = () => chat.askAgain(this);
    if (canRetry && isBad && canHelp) left.push(make("button", { type: "button", class: "fg-retry fg-idle", click: retry }, icon("again"), "Try again"));
    if (stored.text.trim()) left.push(makeCopyButton("Copy", () => stored.text));
    if (canRetry && !isBad) left.push(makeIconButton("again", "Try again", retry, { class: "fg-icon fg-idle" }));
    const { alike = [], id } = this.question ?? {};
    if (canRetry) left.push(makeVersions(alike, alike.indexOf(id), chat) ?? "");
    const { offers_code: offersCode, offers_test: offersTest } = chat.data, hasQuestion = (offersCode || offersTest) && chat.list.findQuestion(this);
    if (offersCode && hasQuestion) left.push(makeIconButton("code", "Copy as code", () => chat.showCode(this)));
    if (offersTest && hasQuestion && stored.state === "complete" && !this.isUnkept)
      left.push(makeIconButton("test", "Make it a test", () => chat.trigger("test", { session: chat.session, message: this.id })));
    this.rating = chat.note ? null : chat.ratings.draw(this);
    const told = make("div", { class: "fg-told" }, this.drawFacts(), makeTime(stored.at));
    return make("div", { class: "fg-footer" }, ...left, this.rating, told);
  }

  redrawRating() {
    if (this.rating) this.rating = this.chat.ratings.redraw(this, this.rating);
  }

  /** Model, seconds and tokens; from outside only whether the answer was stopped. */
  drawFacts() {
    const { state, error, facts } = this.stored;
    const said = [state === "stopped" && !error ? "Stopped" : ""];
    if (facts) said.push(facts.model, writeSeconds(facts.seconds), writeTokens(facts.tokens));
    const line = make("span", { class: "fg-figures" }, join(...said));
    if (facts?.steps) {
      const click = ({ currentTarget }) => this.toggleSteps(currentTarget);
      const open = make("button", { type: "button", class: "fg-steps-button", "aria-expanded": "false", click }, count(facts.steps, "step"));
      line.append(line.textContent ? " · " : "", open);
    }
    return line.textContent ? line : null;
  }

  toggleSteps(button) {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    this.steps?.remove();
    this.steps = null;
    if (isOpen) return;
    this.steps = make("div", { class: "fg-steps" }, make("p", { class: "fg-wait" }, "Loading the steps"));
    this.below.append(this.steps);
    this.chat.socket.send({ type: "steps", session: this.chat.session, message: this.id });
  }

  showSteps(steps) {
    const { session, data: { flow } } = this.chat, href = `/inside?${new URLSearchParams({ flow, session })}`;
    const way = this.isUnkept ? null : make("a", { class: "fg-way", href, target: "_blank", rel: "noopener" }, icon("flow"), "Show in the flow");
    this.steps?.replaceChildren(...drawSteps(steps, this.stored.text), way ?? "");
  }
}

/** That a flow has no documents to answer from; `adding` is the flow's id for who may add some. */
export function drawLack(says, adding) {
  const way = adding && make("a", { class: "fg-way", href: `/knowledge?${new URLSearchParams({ flow: adding })}` }, "Add documents");
  return make("div", { class: "fg-notice fg-lack", "data-kind": "off" }, make("p", {}, says), way || null);
}

/** A model that is being fetched for an answer: bytes of the total, and the time left; at the end, that the file is checked and loaded. */
function drawProgress({ model = "the model", received, total, seconds_left: left }) {
  const isWhole = total > 0 && received >= total;
  const amount = total ? `${writeSize(received)} of ${writeSize(total)}` : writeSize(received);
  const text = isWhole ? `Starting ${model}` : join(`Fetching ${model}`, amount, left == null ? "" : `${roundSeconds(left)} left`);
  const bar = make("progress", { "aria-label": text, max: total || 1 });
  if (total) bar.value = Math.min(received, total);
  return make("div", { class: "fg-progress" }, make("p", { class: "fg-figures" }, text), bar);
}

/** `‹ 2/3 ›`: `ids` are the versions in their order, of which `place` is shown. Null where there is one. */
function makeVersions(ids, place, chat) {
  if (ids.length < 2) return null;
  const makeStep = (name, label, step) => {
    const id = ids[place + step];
    return makeIconButton(name, label, () => chat.choose(id, step, group), { disabled: !id, "data-step": step });
  };
  const [previous, next] = [makeStep("previous", "Previous version", -1), makeStep("next", "Next version", 1)];
  const given = { class: "fg-versions fg-idle", role: "group", "aria-label": `Version ${place + 1} of ${ids.length}` };
  const group = make("div", given, previous, make("span", { class: "fg-figures", "aria-hidden": "true" }, `${place + 1}/${ids.length}`), next);
  return group;
}

/** A question as a field. `act` has `send(text)`, `keep(text)` and `cancel()`. */
function makeEditor(text, act) {
  const box = make("textarea", { dir: "auto", rows: 1, "aria-label": "Edit your message", enterkeyhint: isTouched() ? "enter" : "send", autocomplete: "off" });
  const send = make("button", { type: "button", class: "fg-way fg-edit-send", click: () => submit() }, "Send");
  const cancel = make("button", { type: "button", class: "fg-way", click: () => act.cancel() }, "Cancel");
  const grow = () => {
    fit(box);
    send.disabled = !box.value.trim();
  };
  const submit = () => box.value.trim() && act.send(box.value);
  box.value = text;
  box.addEventListener("input", () => {
    grow();
    act.keep(box.value);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const isSend = isSending(event);
    if (!isSend && event.key !== "Escape") return;
    event.preventDefault();
    if (isSend) submit();
    else act.cancel();
  });
  const element = make("div", { class: "fg-editor" }, box, make("div", { class: "fg-editor-ways" }, cancel, send));
  const open = () => {
    grow();
    box.focus({ preventScroll: true });
    box.setSelectionRange(box.value.length, box.value.length);
  };
  return { element, open };
}
