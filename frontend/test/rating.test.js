/** Good or bad under an answer, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";

const { Ratings } = await import("../src/chat/rating.js");

function open({ isOpen = true } = {}) {
  const told = [];
  const answer = { id: "a", stored: { state: "complete" }, redrawRating: () => told.push("redrawn") };
  const ratings = new Ratings({
    session: "s",
    socket: { send: (frame) => isOpen && told.push(frame) },
    trigger: (_, { message }) => told.push(`ask ${message}`),
    speak: (sentence) => told.push(sentence),
    composer: { say: (sentence) => told.push(`! ${sentence}`) },
    list: { find: () => answer },
  });
  const pressed = () => [...ratings.draw(answer).querySelectorAll("[aria-pressed]")].map((button) => button.getAttribute("aria-pressed"));
  return { told, answer, ratings, pressed };
}

const rated = (value, more = {}) => ({ session: "s", message: "a", value, ...more });

test("a press shows at once, is told, and a bad one asks why", () => {
  const { told, answer, ratings, pressed } = open();
  assert.deepEqual(pressed(), ["false", "false"]);
  ratings.press(answer, "bad");
  ratings.press(answer, "bad");
  assert.deepEqual(pressed(), ["false", "true"]);
  assert.deepEqual(told, [{ type: "rate", session: "s", message: "a", value: "bad" }, "redrawn"]);
  ratings.hear(rated("bad"));
  assert.deepEqual(told.slice(2), ["Rated as bad.", "ask a", "redrawn"]);
  assert.match(ratings.draw(answer).textContent, /Tell why/);
});

test("who said why may edit it, until the rating is another", () => {
  const { answer, ratings } = open();
  ratings.take([{ id: "a", role: "assistant" }], { a: "bad" }, ["a"]);
  assert.match(ratings.draw(answer).textContent, /Edit reason/);
  ratings.press(answer, "good");
  ratings.hear(rated("good"));
  assert.match(ratings.draw(answer).textContent, /Tell why/);
});

test("the pressed one takes it back, and a good one asks nothing", () => {
  const { told, answer, ratings, pressed } = open();
  ratings.press(answer, "good");
  ratings.hear(rated("good"));
  ratings.press(answer, "good");
  assert.equal(told.at(-2).value, null);
  ratings.hear(rated(null));
  assert.deepEqual(pressed(), ["false", "false"]);
  assert.ok(!told.includes("ask a"));
});

test("what was refused or not sent stands as it was before", () => {
  const { told, answer, ratings, pressed } = open();
  ratings.take([{ id: "a", role: "assistant" }], { a: "good" });
  ratings.press(answer, "bad");
  ratings.hear(rated("bad", { error: { text: "This answer cannot be rated.", hint: null } }));
  assert.deepEqual(pressed(), ["true", "false"]);
  assert.ok(told.includes("! This answer cannot be rated."));
  const away = open({ isOpen: false });
  away.ratings.press(away.answer, "bad");
  assert.deepEqual(away.pressed(), ["false", "false"]);
});

test("after a lost connection the conversation's own word counts", () => {
  const { answer, ratings, pressed } = open();
  ratings.press(answer, "bad");
  ratings.pressed.clear();
  ratings.take([{ id: "a", role: "assistant" }], {});
  assert.deepEqual(pressed(), ["false", "false"]);
});

test("what failed, is written or is not stored has no buttons", () => {
  const { ratings } = open();
  for (const answer of [{ id: "a", stored: { state: "failed" } }, { id: "a" }, { stored: { state: "complete" } }, { id: "a", stored: { state: "complete" }, isUnkept: true }])
    assert.equal(ratings.draw(answer), null);
});
