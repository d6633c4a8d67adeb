// A conversation on the page: what it shows, what its socket says, and what the person does.

import { copyText } from "../markdown.js";
import { Composer } from "./composer.js";
import { NOT_THERE } from "./added.js";
import { isTouched, make, makeIconButton, makeId } from "../dom.js";
import { listenForDrops } from "./dropping.js";
import { Drafts } from "./drafts.js";
import { Options } from "./options.js";
import { Hero, drawWays } from "./hero.js";
import { hearFrame } from "./frames.js";
import { listen } from "./keys.js";
import { List } from "./list.js";
import { Ratings } from "./rating.js";
import { Scroll } from "./scroll.js";
import { Socket } from "./socket.js";
import { Speech } from "./speech.js";
import { Pending } from "./turn.js";

/** Milliseconds without a connection after which the page says so. */
const LOST = 1200;
/** Milliseconds for which a page whose sign-in ended may lead elsewhere itself: a rerun would stop it on its way there. */
const LEAVING = 3000;
/** Milliseconds for which a file that was added and not sent is there; the server deletes it after a day. */
const UNSENT = 72_000_000;

export class View {
  /** `trigger(name, value)` tells the page's Python. */
  constructor(root, data, trigger) {
    Object.assign(this, { root, data, trigger, pending: null, turn: null, isLoaded: false, lost: 0 });
    this.isForm = data.mode === "form";
    this.speech = new Speech();
    this.ratings = new Ratings(this.makeRates());
    this.list = new List(this.makeOffer(), { earlier: () => this.askEarlier() });
    this.drafts = new Drafts(data.person, data.flow);
    this.hero = new Hero((text) => this.say(text));
    this.files = new Drafts(data.person, `${data.flow}:files`, window.sessionStorage);
    this.composer = new Composer(this.makeActs(), { isForm: this.isForm });
    this.options = new Options(this.makeOptionActs(), new Drafts(data.person, data.flow, window.sessionStorage));
    this.composer.chips.before(this.options.element);
    this.toEnd = makeIconButton("down", "Go to the end", () => this.scroll.toEnd({ isSmooth: true }), { class: "fg-icon fg-to-end", hidden: true });
    this.foot = make("div", { class: "fg-foot" }, this.toEnd, this.composer.element);
    const loading = make("div", { class: "fg-loading", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
    const parts = [this.hero.element, this.list.earlier, loading, this.list.log];
    root.append(...(this.isForm ? [this.foot, ...parts] : [...parts, this.foot]), this.speech.element);
    this.scroll = new Scroll(root, (isAtEnd) => (this.toEnd.hidden = isAtEnd || this.isForm));
    this.scroll.isFollowing = !this.isForm;
    for (const growing of [this.list.log, this.foot]) this.scroll.watch(growing);
    this.keys = listen(root, this.makeKeys());
    this.endDrops = listenForDrops(root, this.makeDrops());
    this.show(data);
    const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone ?? "");
    const where = `${location.origin.replace(/^http/, "ws")}/chat?flow=${encodeURIComponent(data.flow)}${data.is_public ? "&at=public" : ""}&zone=${zone}`;
    this.socket = new Socket(where, { hear: (frame) => hearFrame(this, frame), change: (state) => this.changeLink(state) });
  }

  makeOffer() {
    const view = this;
    return {
      get name() { return view.data.title; },
      get icon() { return view.data.icon; },
      get inside() { return `/inside?${new URLSearchParams({ flow: view.data.flow, session: view.session })}`; },
      get adding() { return view.data.adds_documents && view.data.flow; },
      get offersCode() { return view.data.offers_code; },
      get offersTest() { return view.data.offers_test; },
      get canRetry() { return !view.isForm && !view.off; },
      say: (sentence) => this.speech.say(sentence),
      address: (what, asked) => this.findFile(what, asked),
      retry: (answer) => this.askAgain(answer),
      edit: (question, text) => this.edit(question, text),
      reveal: (element) => this.scroll.reveal(element, this.foot),
      choose: (id, from) => this.choose(id, from),
      findQuestion: (answer) => this.list.findQuestion(answer),
      showCode: (answer) => this.showCode(answer),
      makeTest: (answer) => this.trigger("test", { session: this.session, message: answer.id }),
      decide: (call, digest, decision) => this.turn && this.socket.send({ type: "decide", run: this.turn.run, call, digest, decision }),
      askSteps: (answer) => this.socket.send({ type: "steps", session: this.session, message: answer.id }),
      drawRating: (answer) => (this.note ? null : this.ratings.draw(answer)),
      redrawRating: (answer, drawn) => this.ratings.redraw(answer, drawn),
    };
  }

  makeRates() {
    return {
      send: (frame) => this.socket.send(frame),
      ask: (message) => this.trigger("why", { session: this.session, message }),
      say: (sentence) => this.speech.say(sentence),
      warn: (sentence, hint) => this.composer.say(sentence, { hint }),
      getSession: () => this.session,
      find: (id) => this.list.find(id),
    };
  }

  makeActs() {
    return {
      send: (text) => this.say(text),
      stop: () => this.stop(),
      editLast: () => this.editLast(),
      changeDraft: (text) => this.drafts.keep(this.draftKey, text),
      clearOverrides: () => this.trigger("clear", true),
      changeFiles: () => this.keepFiles(),
      address: (what, asked) => this.findFile(what, asked),
      speak: (sentence) => this.speech.say(sentence),
    };
  }

  makeDrops() {
    return {
      canTake: () => this.composer.added.isTaking && !this.off,
      says: () => this.off || this.data.files.says,
      take: (files) => !this.off && this.composer.added.add(files),
    };
  }

  /** Where a page adds, shows, saves and deletes files. */
  findFile(what, asked) {
    const { flow, is_public: isPublic } = this.data;
    const here = what === "upload" ? { flow } : isPublic ? { flow } : {};
    return `/file/${what}?${new URLSearchParams({ ...here, ...asked, ...(isPublic ? { at: "public" } : {}) })}`;
  }

  /** What was added and not sent outlives a reload of this tab, as long as the server keeps it. */
  keepFiles() {
    if (!this.session) return;
    const files = this.composer.added.list();
    this.files.keep(this.draftKey, files.length ? JSON.stringify({ at: Date.now(), files }) : "");
  }

  readFiles() {
    const { at, files } = JSON.parse(this.files.read(this.draftKey) || "{}");
    return Date.now() - at < UNSENT ? files : [];
  }

  makeOptionActs() {
    return { change: () => this.shareTweaks(), focus: () => this.composer.focus(), say: (sentence) => this.speech.say(sentence) };
  }

  makeKeys() {
    return {
      stop: () => this.isBusy && this.stop(),
      focus: () => this.composer.focus(),
      begin: () => this.trigger("new", true),
      copy: () => {
        const text = this.list.order().findLast((item) => item.stored?.text)?.stored.text;
        if (text) copyText(text).then((isDone) => isDone && this.speech.say("Copied"));
        return Boolean(text);
      },
    };
  }

  get isBusy() {
    return Boolean(this.pending || this.turn);
  }

  get draftKey() {
    return this.data.is_new ? "new" : this.session;
  }

  /** With what is said here: the overrides, and what was chosen among the options. */
  get tweaks() {
    return this.options.merge(this.data.tweaks);
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
    const offered = JSON.stringify([data.offers_code, data.offers_test, data.explained]);
    const isOffered = offered === this.offered;
    Object.assign(this, { data, offered });
    this.options.describe(data.asked, data.tweaks);
    this.given = data.session;
    this.hero.describe(data);
    if (data.explained) this.ratings.explained.add(data.explained);
    if (isOther) this.open(data.session);
    else {
      this.shareTweaks();
      if (!isOffered) this.list.redraw(); // a button that is drawn anew while it is pressed hears no click
    }
    this.update();
  }

  /** What stands around the field. */
  describe() {
    const { label, placeholder, chip, notes, files } = this.data;
    const kept = this.note ? [{ icon: "eye", text: this.note }] : [];
    const isEmpty = this.list.isEmpty;
    const shown = notes.filter((note) => (isEmpty || note.when !== "empty") && !(this.isFetched && note.icon === "fetch"));
    this.composer.describe({ label, placeholder, chip, files, notes: [...kept, ...shown] });
  }

  /** Another conversation, over the same socket. */
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
    const after = this.turn?.after;
    this.tweaksTold = JSON.stringify(this.tweaks);
    this.isAsking = this.socket?.send({ type: "open", session: this.session, tweaks: this.tweaks, ...(after ? { after } : {}) });
  }

  /** What follows from the state: empty or not, Send or Stop, what the last answer offers. */
  update() {
    const isEmpty = this.isLoaded && this.list.isEmpty;
    if (isEmpty && !this.root.hasAttribute("data-empty")) this.scroll.toStart();
    this.root.toggleAttribute("data-empty", isEmpty);
    this.root.toggleAttribute("data-loading", !this.isLoaded);
    this.root.toggleAttribute("data-running", this.isBusy);
    this.hero.element.hidden = !isEmpty;
    this.hero.setOff(Boolean(this.off));
    this.options.unfold(isEmpty || this.isForm);
    this.composer.setRunning(this.isBusy);
    this.describe();
    this.list.settle();
    this.scroll.fit();
  }

  changeLink(state) {
    clearTimeout(this.lost);
    if (state === "open") {
      this.ask();
      this.composer.setLink(true);
    } else if (state === "away") {
      this.isAsking = false;
      this.ratings.forget();
      if (this.pending) this.pending.isSaidAfter = false;
      this.composer.setLink(false);
      this.lost = setTimeout(() => this.composer.setLink(false, { isLost: true }), LOST);
    } else {
      this.composer.setLink(false);
      this.lost = setTimeout(() => this.tellClosed(state), state.reason === "signed_out" ? LEAVING : 0);
    }
  }

  tellClosed({ text, reason }) {
    this.composer.say(text, { kind: "closed", ways: drawWays(reason, () => this.socket.retry()) });
    this.trigger("closed", reason);
  }

  say(text) {
    const { added } = this.composer;
    if (this.isBusy || !this.options.check()) return;
    if (added.isBusy) {
      this.composer.say(NOT_THERE, { kind: "files" });
      return;
    }
    const files = added.list();
    const [id, session] = [makeId(), this.isForm ? makeId() : this.session];
    const frame = { type: "say", id, session, text, tweaks: this.tweaks, ...(files.length ? { files: files.map((file) => file.id) } : {}) };
    if (this.isForm && this.socket.isOpen) {
      this.list.clear();
      this.session = session;
      this.ask();
    }
    if (!this.socket.send(frame)) {
      this.composer.restore(text);
      return;
    }
    if (!this.isForm) this.composer.text = "";
    this.drafts.keep(this.draftKey, "");
    added.clear();
    this.begin(id, text, { files });
  }

  askAgain(answer) {
    const id = makeId();
    const frame = { type: "again", id, session: this.session, message: answer.id, tweaks: this.tweaks };
    if (this.isBusy || !this.options.check() || !this.socket.send(frame)) return;
    const question = this.list.findQuestion(answer);
    this.begin(id, question?.text ?? "", { isAgain: true, replaced: question, files: question?.files });
    this.takeUp();
  }

  /** Asks this text in the place of the question; whether it was sent. */
  edit(question, text) {
    const id = makeId();
    const frame = { type: "edit", id, session: this.session, message: question.id, text, tweaks: this.tweaks };
    if (this.isBusy || !this.options.check() || !this.socket.send(frame)) return false;
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

  /** Another version of a question. `from` says by which button. */
  choose(id, from) {
    if (this.isBusy || !this.socket.send({ type: "choose", session: this.session, message: id })) return;
    this.choosing = { id, ...from };
    this.scroll.follow(false);
  }

  /** Draws what was said before anybody answered. */
  begin(id, text, { isAgain = false, replaced = null, files = [] } = {}) {
    const removed = replaced?.id && !replaced.isUnkept ? this.list.cut([replaced.id]) : [];
    this.pending = new Pending(id, text, { files, question: this.list.addQuestion(text, files), answer: this.list.addAnswer() });
    Object.assign(this.pending, { isAgain, replaced, removed, isSaidAfter: this.isAsking, tweaks: this.tweaks });
    this.options.choice = null;
    this.pending.answer.wait();
    this.composer.setRunning(true, { byThisPage: true });
    this.update();
    if (!this.isForm) this.scroll.toEnd();
  }

  stop() {
    this.socket.send({ type: "stop", ...(this.turn ? { run: this.turn.run } : {}) }); // without: one that still waits
    return true;
  }

  askEarlier() {
    this.socket.send({ type: "earlier", session: this.session, before: this.list.oldest });
  }

  /** *Copy as code*: a dialog of the page's own. */
  showCode(answer) {
    const { id, text } = this.list.findQuestion(answer);
    this.trigger("code", { session: this.session, question: id, text, ...(answer.isUnkept ? { tweaks: answer.tweaks } : {}) });
  }

  close() {
    clearTimeout(this.lost);
    this.socket.close();
    this.scroll.close();
    this.keys.close();
    this.endDrops();
    this.session = null;
    this.composer.added.clear();
    this.list.clear();
  }
}
