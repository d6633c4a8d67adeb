/** The parts of a conversation without a browser: field, list, drafts, socket. */

import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";

globalThis.addEventListener ??= () => {};
globalThis.removeEventListener ??= () => {};
let isTouched = false;
globalThis.matchMedia ??= () => ({ matches: isTouched });

const { View } = await import("../src/chat.js");
const { Composer } = await import("../src/chat/composer.js");
const { Drafts } = await import("../src/chat/page.js");
const { hearFrame } = await import("../src/chat/frames.js");
const { List } = await import("../src/chat/list.js");
const { Socket } = await import("../src/chat/socket.js");
const { writeSeconds, writeTokens } = await import("../src/dom.js");

const CHAT = { data: { title: "Echo", icon: "" }, canRetry: true, ratings: { draw: () => null }, choose() {}, speak() {}, address() {} };
globalThis.location ??= { origin: "http://here" };

function makeComposer() {
  const did = [];
  const act = { send: (text) => did.push(["send", text]), stop: () => did.push(["stop"]), changeDraft() {}, changeFiles() {} };
  const composer = new Composer(act);
  composer.fit = () => {};
  composer.setLink(true);
  composer.text = "Hello";
  return { composer, did };
}

const press = (composer, key, held = {}) => composer.hear({ key, preventDefault() {}, ...held });

test("Enter sends, but where fingers point it begins a line, and Ctrl or Cmd sends", () => {
  for (const [touched, sending, writing] of [[false, [{}, { ctrlKey: true }], [{ shiftKey: true }]], [true, [{ ctrlKey: true }, { metaKey: true }], [{}, { shiftKey: true }]]]) {
    isTouched = touched;
    for (const held of sending) {
      const { composer, did } = makeComposer();
      press(composer, "Enter", held);
      assert.deepEqual(did, [["send", "Hello"]]);
      assert.equal(composer.box.getAttribute("enterkeyhint"), touched ? "enter" : "send");
    }
    for (const held of writing) {
      const { composer, did } = makeComposer();
      press(composer, "Enter", held);
      assert.deepEqual(did, []);
    }
  }
  isTouched = false;
});

test("a double click sends once and stops nothing", () => {
  const { composer, did } = makeComposer();
  composer.press();
  composer.setRunning(true, { byThisPage: true });
  composer.press();
  assert.deepEqual(did, [["send", "Hello"]]);
  assert.equal(composer.button.getAttribute("aria-label"), "Stop");
  assert.equal(composer.button.getAttribute("aria-disabled"), "true");
  composer.sentAt = -Infinity;
  composer.press();
  assert.deepEqual(did.at(-1), ["stop"]);
});

test("what is not sent waits for the first connection, and stays once that is lost", () => {
  const { composer, did } = makeComposer();
  composer.setLink(false);
  composer.submit();
  assert.deepEqual(did, []);
  composer.setLink(true);
  assert.deepEqual(did, [["send", "Hello"]]);
  composer.setLink(false, { isLost: true });
  composer.submit();
  composer.setLink(true);
  assert.equal(did.length, 1);
  assert.equal(composer.text, "Hello");
});

test("what waited for the connection is said in the conversation that is asked for first", () => {
  const { composer, did } = makeComposer();
  composer.setLink(false);
  composer.submit();
  View.prototype.changeLink.call({ composer, ask: () => did.push(["open"]) }, "open");
  assert.deepEqual(did, [["open"], ["send", "Hello"]]);
});

test("a text that was refused stands before what was typed since", () => {
  const { composer } = makeComposer();
  composer.text = "more";
  composer.restore("first");
  assert.equal(composer.text, "first\nmore");
});

test("a field that is switched off keeps its text and takes none", () => {
  const { composer, did } = makeComposer();
  composer.setOff("This flow is switched off.");
  composer.submit();
  assert.deepEqual(did, []);
  assert.ok(composer.box.disabled);
  assert.equal(composer.text, "Hello");
  assert.match(composer.notice.textContent, /switched off/);
});

test("the seconds of a refusal are over at some time, and what has none says nothing anew", ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { composer } = makeComposer();
  for (const [sentence, hint, then] of [
    ["You can send the next message in 42 s.", "The limit is 2 a minute.", "You can send the next message now. The limit is 2 a minute."],
    ["Too many runs.", "Wait for one to end, or try again in about 42 s.", "Too many runs. Wait for one to end, or try again now."],
    ["All are used up. There are more at 00:00 UTC, in 5 h.", "", "All are used up. There are more at 00:00 UTC, in 5 h."],
  ]) {
    composer.say(sentence, { hint, seconds: 42 });
    mock.timers.tick(41_000);
    assert.equal(composer.notice.textContent, `${sentence} ${hint}`.trim());
    mock.timers.tick(1_000);
    assert.equal(composer.notice.textContent, then);
  }
  composer.say("You can send the next message in 1 s.", { seconds: 1 });
  composer.say("");
  mock.timers.tick(5000);
  assert.equal(composer.notice.textContent, "");
});

const said = (id, text) => ({ id, role: "user", text, state: "complete", at: "2026-11-26T10:00:00Z", run: id });
const answered = (id, text, more = {}) => ({ id, role: "assistant", text, state: "complete", at: "2026-11-26T10:00:01Z", run: id, ...more });

test("messages that are shown again keep their elements and their order", () => {
  const list = new List(CHAT);
  list.show([said("1", "one"), answered("2", "two")], { hasEarlier: false, kept: new Set() });
  const before = list.order().map(({ element }) => element);
  list.show([said("1", "one"), answered("2", "two"), said("3", "three")], { hasEarlier: true, kept: new Set() });
  assert.deepEqual(list.order().map(({ id }) => id), ["1", "2", "3"]);
  assert.deepEqual(list.order().slice(0, 2).map(({ element }) => element), before);
  list.prepend([said("0", "zero")], { hasEarlier: false });
  assert.deepEqual(list.order().map(({ id }) => id), ["0", "1", "2", "3"]);
  assert.equal(list.findQuestion(list.find("2")).text, "one");
});

test("an answer says how it ended", () => {
  const list = new List(CHAT);
  const states = [
    answered("a", "", { by_model: true }),
    answered("b", "", { by_model: false }),
    answered("c", "", { state: "interrupted" }),
    answered("d", "so far", { state: "interrupted" }),
    answered("e", "so far", { state: "failed", error: { text: "It broke.", hint: "Try later." } }),
    answered("f", "so far", { state: "stopped" }),
  ];
  list.show(states, { hasEarlier: false, kept: new Set() });
  const texts = list.order().map(({ body }) => body.textContent);
  const wanted = [
    /The model answered with nothing/, /The answer is empty/, /interrupted before any of the answer was saved/,
    /so far.*Interrupted: the server stopped/, /so far.*It broke\..*Try later\./, /so far.*Stopped/,
  ];
  wanted.forEach((words, at) => assert.match(texts[at], words));
});

test("what cannot go better has no Try again", () => {
  const chat = { ...CHAT, canRetry: true };
  const list = new List(chat);
  for (const [error, offers] of [[{ text: "Broke.", hint: null }, true], [{ text: "plan.pdf is a damaged PDF.", hint: null, is_final: true }, false]]) {
    list.show([answered("e", "", { state: "failed", error })], { hasEarlier: false, kept: new Set() });
    list.settle();
    assert.equal(list.order()[0].below.textContent.includes("Try again"), offers);
  }
});

test("pieces that overlap are added once, counted in characters as the server counts them", () => {
  const list = new List(CHAT);
  const answer = list.addAnswer();
  answer.add(0, "a😀b");
  answer.add(1, "😀bc");
  answer.add(2, "b");
  assert.equal(answer.parts[0].growing.text, "a😀bc");
  assert.equal(answer.end, 4);
  answer.parts[0].growing.drop();
});

test("what is done stands between what was said before and after it, live and as it is stored", () => {
  const list = new List(CHAT);
  const call = (number, after, state = "done", more = {}) => ({ number, kind: "call", within: null, name: `Tool ${number}`, state, ...(after ? { after } : {}), ...more });
  const read = (answer) => [...answer.body.querySelectorAll(".fg-action-name, .fg-text > p")].map((one) => one.textContent);
  const answer = list.addAnswer();
  answer.act([call(1, 0)]);
  answer.add(0, "Let me 😀");
  answer.act([call(2, 12, "running")]); // before the rest of what was said
  answer.add(8, " see.\n\nIt");
  answer.act([call(2, 12), call(3, 0, "done", { within: 2 })]);
  assert.deepEqual(read(answer), ["Tool 1", "Let me 😀 see", "Tool 2", "Tool 3", ".", "It"]);
  const text = "Let me 😀 see\n\nIt is.";
  const stored = { id: "a", role: "assistant", text, state: "complete", at: null, actions: [call(1, 0), call(2, 12), call(3, 0, "done", { within: 2 })] };
  const wanted = ["Tool 1", "Let me 😀 see", "Tool 2", "Tool 3", "It is."];
  for (const drawn of [answer, list.addAnswer()]) {
    drawn.store(stored);
    assert.deepEqual(read(drawn), wanted);
    drawn.drop();
  }
});

test("drafts are each conversation's, and nobody finds another person's", () => {
  const kept = new Map();
  const store = {
    get length() { return kept.size; },
    key: (at) => [...kept.keys()][at],
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, text) => kept.set(name, text),
    removeItem: (name) => kept.delete(name),
  };
  const ada = new Drafts("ada", "echo", store);
  ada.keep("1", "half a thought");
  assert.equal(ada.read("1"), "half a thought");
  assert.equal(ada.read("2"), "");
  new Drafts("bob", "echo", store);
  assert.equal(kept.size, 0);
});

test("a socket that is cut comes back, and one that was closed for good does not", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const links = [];
  const states = [];
  const dial = () => {
    const link = { readyState: 1, send: () => {}, close: () => {} };
    links.push(link);
    return link;
  };
  const socket = new Socket("/chat", { hear: () => {}, change: (state) => states.push(state), dial });
  links[0].onopen();
  links[0].onclose();
  context.mock.timers.tick(300);
  assert.equal(links.length, 2);
  links[1].onopen();
  links[1].onmessage({ data: JSON.stringify({ type: "closed", reason: "signed_out", text: "Sign in first." }) });
  links[1].onclose();
  context.mock.timers.tick(60_000);
  assert.equal(links.length, 2);
  assert.deepEqual(states.slice(0, 3), ["open", "away", "open"]);
  assert.equal(states[3].reason, "signed_out");
  socket.close();
});

test("figures are written as the pages write them", () => {
  assert.deepEqual([0.42, 1.23, 12.3, 75, null].map(writeSeconds), ["420 ms", "1.2 s", "12 s", "1 min 15 s", ""]);
  assert.equal(writeTokens({ input: 1200, output: 4 }), "1,204 tokens");
  assert.equal(writeTokens({ input: 1, output: 0 }), "1 token");
});

test("what another version replaces goes, and comes back where that is refused", () => {
  const list = new List(CHAT);
  const question = { ...said("3", "three"), versions: [["3", "9"], ["8"]] };
  list.show([said("1", "one"), answered("2", "two"), question, answered("4", "four")], { hasEarlier: false, kept: new Set() });
  list.settle();
  assert.deepEqual(list.find("3").alike, ["3", "9"]);
  const pending = list.addQuestion("pending");
  const removed = list.cut(["3"]);
  assert.deepEqual(list.order().map(({ id }) => id), ["1", "2", null]);
  list.remove(pending);
  list.restore(removed);
  assert.deepEqual(list.order().map(({ id }) => id), ["1", "2", "3", "4"]);
  assert.match(list.find("3").footer.textContent, /1\/2/);
});

test("what was read of earlier pages stays above a path that begins within it", () => {
  const list = new List(CHAT);
  list.show([said("1", "one"), answered("2", "two"), said("3", "three")], { hasEarlier: false, kept: new Set() });
  list.show([answered("2", "two"), said("5", "five")], { hasEarlier: true, kept: new Set() });
  assert.deepEqual(list.order().map(({ id }) => id), ["1", "2", "5"]);
  assert.ok(list.earlier.hidden);
});

test("from the first figures or the first words of an answer on, the field says nothing of a fetch", () => {
  for (const frame of [{ type: "progress", run: "1", received: 1, total: 2 }, { type: "text", answer: "a", at: 0, text: "Hi" }]) {
    const told = [];
    const view = { turn: { run: "1", answers: new Map(), first: { showProgress() {} } }, describe: () => told.push(view.isFetched) };
    hearFrame(view, frame);
    hearFrame(view, frame);
    assert.deepEqual(told, [true]);
  }
});
