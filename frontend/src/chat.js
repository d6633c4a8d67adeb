// @ts-check
/** The conversation as a component of the page: what it shows, what its socket says, and what the person does. */

import { adopt, isTouched, make, makeIconButton, makeId } from "./dom.js";
import { copyText, render, repaint } from "./markdown.js";
import baseCss from "./base.css";
import css from "./chat.css";
import filesCss from "./files.css";
import { Composer } from "./chat/composer.js";
import { NOT_THERE, listenForDrops } from "./chat/files.js";
import { hearFrame } from "./chat/frames.js";
import { List } from "./chat/list.js";
import { drawLack } from "./chat/message.js";
import { Options } from "./chat/options.js";
import { Drafts, Scroll, listenForKeys } from "./chat/page.js";
import { Ratings } from "./chat/rating.js";
import { Socket } from "./chat/socket.js";

/** Milliseconds without a connection after which the page says so. */
const LOST = 1200;
/** Milliseconds for which a page whose sign-in ended may lead elsewhere itself: a rerun would stop it on its way there. */
const LEAVING = 3000;
/** Milliseconds for which a file that was added and not sent is there; the server deletes it after a day. */
const UNSENT = 72_000_000;
/** Milliseconds after which the page stands still. */
const SETTLED = 1000;
const MOST_SPOKEN = 20;
/** Letters of a welcome that is read at a glance: it stands there as a headline. */
const SHORT = 90;

/** Streamlit calls it again whenever its data or the theme changes, and cleans up only when it goes away: so what there is
 * stays with its element. */
export default function mount({ parentElement, data: [data], setTriggerValue }) {
  for (const sheet of [baseCss, css, filesCss]) adopt(sheet);
  let view = parentElement.fgView;
  if (view?.data.flow === data.flow && view.data.mode === data.mode) {
    view.trigger = setTriggerValue;
    view.show(data);
  } else {
    view?.close();
    const root = make("div", { class: "fg-chat", "data-mode": data.mode });
    parentElement.append(root);
    view = parentElement.fgView = new View(root, data, setTriggerValue);
  }
  paint(view.root, data.accent);
  repaint(view.root);
  return () => {
    view.close();
    parentElement.fgView = null;
  };
}

/** In the flow's own colour, where it has one. The page's head stays in reach while one reads: it needs the theme's
 * colours, which Streamlit gives components alone. */
function paint(root, accent) {
  root.style.setProperty("--st-primary-color", accent?.main ?? "");
  root.style.setProperty("--st-link-color", accent?.link ?? "");
  const seen = getComputedStyle(root.parentElement);
  for (const name of ["background-color", "border-color"])
    document.documentElement.style.setProperty(`--fg-${name}`, seen.getPropertyValue(`--st-${name}`));
}

export class View {
  /** `trigger(name, value)` tells the page's Python.
   * @param {(name: string, value: any) => void} trigger */
  constructor(root, data, trigger) {
    this.root = root;
    this.data = data;
    this.trigger = trigger;
    /** What was said on this page and is not begun yet. */
    this.pending = null;
    /** A run whose answers come: `answers` are drawn messages by their ids, what is told of the run goes to the
     * `first`.
     * @type {Record<string, any> | null} */
    this.turn = null;
    this.isLoaded = this.isAsking = this.isFetched = false;
    this.note = this.off = "";
    this.session = this.given = this.choosing = null;
    this.offered = this.tweaksTold = "";
    this.lost = 0;
    this.isForm = data.mode === "form";
    this.spoken = make("div", { class: "fg-unseen", "aria-live": "polite", "aria-atomic": "false" });
    this.ratings = new Ratings(this);
    this.list = new List(this);
    this.drafts = new Drafts(data.person, data.flow);
    this.files = new Drafts(data.person, `${data.flow}:files`, window.sessionStorage);
    this.composer = new Composer(this, { isForm: this.isForm });
    this.options = new Options(this, new Drafts(data.person, data.flow, window.sessionStorage));
    this.composer.chips.before(this.options.element);
    this.toEnd = makeIconButton("down", "Go to the end", () => this.scroll.toEnd({ isSmooth: true }), { class: "fg-icon fg-to-end", hidden: true });
    this.foot = make("div", { class: "fg-foot" }, this.toEnd, this.composer.element);
    this.welcome = make("div", { class: "fg-hero-welcome", dir: "auto" });
    this.lack = make("div");
    this.starters = make("div", { class: "fg-starters", role: "group", "aria-label": "Suggestions" });
    this.hero = make("div", { class: "fg-hero" }, this.welcome, this.lack, this.starters);
    this.loading = make("div", { class: "fg-loading", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
    const parts = [this.hero, this.list.earlier, this.loading, this.list.log];
    root.append(...(this.isForm ? [this.foot, ...parts] : [...parts, this.foot]), this.spoken);
    this.ending = new AbortController();
    const { signal } = this.ending;
    this.scroll = new Scroll(root, (isAtEnd) => (this.toEnd.hidden = isAtEnd || this.isForm), signal);
    this.scroll.isFollowing = !this.isForm;
    for (const growing of [this.list.log, this.foot]) this.scroll.watcher.observe(growing);
    const stop = () => this.isBusy && this.stop(), begin = () => this.trigger("new", true);
    listenForKeys(root, { stop, begin, focus: () => this.composer.focus(), copy: () => this.copyLast() }, signal);
    const take = (files) => !this.off && this.composer.added.add(files);
    listenForDrops(root, { take, canTake: () => this.composer.added.isTaking && !this.off, says: () => this.off || this.data.files.says }, signal);
    this.show(data);
    this.takeEarly(signal);
    const asked = new URLSearchParams({ flow: data.flow, ...(data.is_public ? { at: "public" } : {}), zone: Intl.DateTimeFormat().resolvedOptions().timeZone ?? "" });
    this.socket = new Socket(`/chat?${asked}`, { hear: (frame) => hearFrame(this, frame), change: (state) => this.changeLink(state) });
  }

  /** What was typed before the conversation was drawn goes on here; where the field stands is kept for the next time
   * (flowground/web/field.js, which a page that was opened before an update has not). */
  takeEarly(signal) {
    const { composer } = this, typed = window.flowground?.takeField?.(), isAlone = !composer.hasContent;
    if (typed?.text) {
      composer.text = [composer.text, typed.text].filter(Boolean).join("\n");
      this.changeDraft(composer.text);
    }
    if (typed?.isFocused) composer.focus();
    if (typed?.isSent && isAlone) composer.submit(); // not with a draft or file that nobody saw yet
    const keep = () => this.isForm || this.off || composer.hasContent || window.flowground?.keepField?.(composer.describePlace());
    const soon = setTimeout(keep, SETTLED);
    signal.addEventListener("abort", () => clearTimeout(soon));
    addEventListener("pagehide", keep, { signal });
  }

  get canRetry() {
    return !this.isForm && !this.off;
  }

  get isBusy() {
    return Boolean(this.pending || this.turn);
  }

  get draftKey() {
    return this.data.is_new ? "new" : this.session;
  }

  get tweaks() {
    return this.options.merge(this.data.tweaks);
  }

  /** What a screen reader hears: finished sentences of the answer that grows, and how it ended. */
  speak(sentence) {
    if (!sentence) return;
    while (this.spoken.childElementCount >= MOST_SPOKEN) this.spoken.firstElementChild.remove();
    this.spoken.append(make("p", {}, sentence));
  }

  address(what, asked) {
    const { flow, is_public: isPublic } = this.data;
    return `/file/${what}?${new URLSearchParams({ ...(what === "upload" || isPublic ? { flow } : {}), ...asked, ...(isPublic ? { at: "public" } : {}) })}`;
  }

  copyLast() {
    const text = this.list.order().findLast((item) => item.stored?.text)?.stored.text;
    if (text) copyText(text).then((isDone) => isDone && this.speak("Copied"));
    return Boolean(text);
  }

  /** What was added and not sent outlives a reload of this tab, as long as the server keeps it. */
  changeFiles() {
    if (!this.session) return;
    const files = this.composer.added.list();
    this.files.keep(this.draftKey, files.length ? JSON.stringify({ at: Date.now(), files }) : "");
  }

  readFiles() {
    const { at, files } = JSON.parse(this.files.read(this.draftKey) || "{}");
    return Date.now() - at < UNSENT ? files : [];
  }

  changeDraft(text) {
    this.drafts.keep(this.draftKey, text);
  }

  shareTweaks() {
    const told = JSON.stringify(this.tweaks);
    if (told === this.tweaksTold || !this.socket) return;
    this.tweaksTold = told;
    this.socket.send({ type: "tweaks", tweaks: this.tweaks });
  }

  /** What Python says of the page, first and whenever it changes. */
  show(data) {
    const isOther = data.session !== this.given && data.session !== this.session;
    const offered = JSON.stringify([data.offers_code, data.offers_test, data.explained]), isOffered = offered === this.offered;
    const greeted = JSON.stringify([data.welcome, data.starters, data.lacks_documents, data.adds_documents]);
    Object.assign(this, { data, offered, given: data.session });
    this.options.describe(data.asked, data.tweaks);
    if (greeted !== this.greeted) this.greet(data);
    this.greeted = greeted;
    if (data.explained) this.ratings.explained.add(data.explained);
    if (isOther) this.open(data.session);
    else {
      this.shareTweaks();
      if (!isOffered) this.list.redraw(); // a button that is drawn anew while it is pressed hears no click
    }
    this.update();
  }

  /** The middle of an empty conversation, below the page's head, which names it. */
  greet({ welcome, starters, flow, lacks_documents: lacks, adds_documents: adds }) {
    render(this.welcome, welcome);
    this.welcome.toggleAttribute("data-short", welcome.length <= SHORT && !welcome.includes("\n"));
    this.starters.replaceChildren(...starters.map((text) => make("button", { type: "button", class: "fg-starter", dir: "auto", click: () => this.send(text) }, text)));
    this.starters.hidden = Boolean(lacks) || !starters.length;
    this.lack.replaceChildren(lacks ? drawLack(lacks, adds && flow) : "");
  }

  describe() {
    const { label, placeholder, chip, notes, files } = this.data, isEmpty = this.list.isEmpty;
    const kept = this.note ? [{ icon: "eye", text: this.note }] : [];
    const shown = notes.filter((note) => (isEmpty || note.when !== "empty") && !(this.isFetched && note.icon === "fetch"));
    this.composer.describe({ label, placeholder, chip, files, notes: [...kept, ...shown] });
  }

  open(session) {
    this.session = null; // what is kept of the other one stays
    this.composer.added.clear();
    this.session = session;
    this.composer.added.restore(this.readFiles());
    this.turn = this.pending = null;
    this.isLoaded = this.data.is_new;
    this.list.clear();
    this.options.open(this.draftKey);
    this.composer.say("");
    this.composer.text = this.drafts.read(this.draftKey) || (this.isForm && this.data.is_new ? this.data.example : "");
    this.scroll?.follow(!this.isForm);
    this.update();
    this.ask();
    if (!this.isElsewhere) this.takeUp();
  }

  /** Whether something lies over the page, whose focus is its own. */
  get isElsewhere() {
    return Boolean(document.querySelector('[role="dialog"], [data-testid="stPopoverBody"]'));
  }

  /** The next message may be written at once; fingers ask for their keyboard themselves, as it covers what one reads. */
  takeUp() {
    if (!isTouched()) this.composer.focus();
  }

  ask() {
    const { run, number } = this.turn ?? {}, after = number ? { after: { run, number } } : {};
    this.tweaksTold = JSON.stringify(this.tweaks);
    this.isAsking = Boolean(this.socket?.send({ type: "open", session: this.session, tweaks: this.tweaks, ...after }));
  }

  /** What follows from the state: empty or not, Send or Stop, what the last answer offers. */
  update() {
    const isEmpty = this.isLoaded && this.list.isEmpty;
    if (isEmpty && !this.root.hasAttribute("data-empty")) this.scroll.toStart();
    this.root.toggleAttribute("data-empty", isEmpty);
    this.loading.hidden = this.isLoaded;
    this.root.toggleAttribute("data-running", this.isBusy);
    this.hero.hidden = !isEmpty;
    for (const button of this.starters.querySelectorAll("button")) button.disabled = Boolean(this.off);
    this.options.unfold(isEmpty || this.isForm);
    this.composer.setRunning(this.isBusy);
    this.describe();
    this.list.settle();
    this.scroll.fit();
  }

  changeLink(state) {
    clearTimeout(this.lost);
    if (state === "open") this.ask(); // before what waited for the connection is said in this conversation
    this.composer.setLink(state === "open");
    if (state === "open") return;
    if (state === "away") {
      this.isAsking = false;
      this.ratings.pressed.clear(); // what was not told back is asked for again with the conversation
      if (this.pending) this.pending.isSaidAfter = false;
      this.lost = window.setTimeout(() => this.composer.setLink(false, { isLost: true }), LOST);
    } else this.lost = window.setTimeout(() => this.tellClosed(state), state.reason === "signed_out" ? LEAVING : 0);
  }

  tellClosed({ text, reason }) {
    const link = (label, href) => make("a", { href, class: "fg-way" }, label);
    const reload = { signed_out: "Sign in again", not_found: "Your flows" }[reason] ?? "Reload the page";
    const way = reason === "too_many" ? make("button", { type: "button", class: "fg-way", click: () => this.socket.retry() }, "Try again") : link(reload, reason === "not_found" ? "/" : location.href);
    this.composer.say(text, { kind: "closed", ways: [way] });
    this.trigger("closed", reason);
  }

  send(text) {
    const { added } = this.composer;
    if (this.isBusy || !this.options.check()) return;
    if (added.isBusy) return this.composer.warn(NOT_THERE);
    const files = added.list(), [id, session] = [makeId(), this.isForm ? makeId() : this.session];
    if (this.isForm && this.socket.isOpen) {
      this.list.clear();
      this.session = session;
      this.ask();
    }
    if (!this.socket.send({ type: "say", id, session, text, tweaks: this.tweaks, files: files.map((file) => file.id ?? "") })) return this.composer.restore(text);
    if (!this.isForm) this.composer.text = "";
    this.changeDraft("");
    added.clear();
    this.begin(id, text, { files });
  }

  askAgain(answer) {
    const id = makeId(), replaced = this.list.findQuestion(answer);
    if (this.isBusy || !this.options.check() || !this.socket.send({ type: "again", id, session: this.session, message: answer.id, tweaks: this.tweaks })) return;
    this.begin(id, replaced?.text ?? "", { isAgain: true, replaced, files: replaced?.files });
    this.takeUp();
  }

  /** Asks this text in the place of the question; whether it was sent. */
  edit(question, text) {
    const id = makeId();
    if (this.isBusy || !this.options.check() || !this.socket.send({ type: "edit", id, session: this.session, message: question.id, text, tweaks: this.tweaks })) return false;
    this.begin(id, text, { replaced: question, files: question.files });
    this.takeUp();
    return true;
  }

  editLast() {
    const last = this.list.order().findLast((item) => item.footer);
    if (this.isBusy || this.isForm || this.off || !last?.id) return false;
    last.edit();
    return true;
  }

  /** Another version of a question, `step` from the one that is shown; `group` has the button. */
  choose(id, step, group) {
    if (this.isBusy || !this.socket.send({ type: "choose", session: this.session, message: id })) return;
    this.choosing = { at: [...this.list.log.querySelectorAll(".fg-versions")].indexOf(group), step };
    this.scroll.follow(false);
  }

  /** Draws what was said before anybody answered. */
  begin(id, text, { isAgain = false, replaced = null, files = [] } = {}) {
    const removed = replaced?.id && !replaced.isUnkept ? this.list.cut([replaced.id]) : [];
    const [question, answer] = [this.list.addQuestion(text, files), this.list.addAnswer()];
    this.pending = { id, text, files, question, answer, isAgain, replaced, removed, isSaidAfter: this.isAsking, tweaks: this.tweaks };
    this.options.choice = null;
    answer.wait();
    this.composer.setRunning(true, { byThisPage: true });
    this.update();
    if (!this.isForm) this.scroll.toEnd();
  }

  stop() {
    this.socket.send({ type: "stop", ...(this.turn ? { run: this.turn.run } : {}) }); // without: one that still waits
  }

  reveal(element) {
    this.scroll.reveal(element, this.foot);
  }

  showCode(answer) {
    const { id, text } = this.list.findQuestion(answer);
    this.trigger("code", { session: this.session, question: id, text, ...(answer.isUnkept ? { tweaks: answer.tweaks } : {}) });
  }

  close() {
    clearTimeout(this.lost);
    this.socket.close();
    this.ending.abort();
    this.session = null;
    this.composer.added.clear();
    this.list.clear();
    this.root.remove();
  }
}
