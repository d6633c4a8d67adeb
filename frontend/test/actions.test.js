/** Lines of what models did: what a person is asked about, and what opens. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { document } from "./page.js";
import { Actions } from "../src/chat/actions.js";

function drawAction(action) {
  const actions = new Actions(() => {}, () => {});
  actions.take([{ number: 1, kind: "call", within: null, name: "Pay back", ...action }]);
  document.body.replaceChildren(actions.element);
  return actions.element;
}

test("who is asked about a request is shown it as it will be sent", () => {
  const drawn = drawAction({ state: "waiting", takes: '{"order":"7"}', digest: "d", sends: "POST https://a.b/7\n{}" });
  assert.equal(drawn.querySelector(".fg-step-text").textContent, "POST https://a.b/7\n{}");
  assert.equal(drawn.querySelector(".fg-data"), null);
});

test("a tool that is always asked about is not allowed for the chat, and one that is says what that means", () => {
  const list = (told) => [...drawAction({ state: "waiting", takes: "{}", digest: "d", ...told }).querySelectorAll(".fg-way")].map((way) => way.dataset.does);
  assert.deepEqual(list({}), ["once", "chat", "refuse"]);
  assert.deepEqual(list({ always: true }), ["once", "refuse"]);
  assert.match(drawAction({ state: "waiting", takes: "{}", digest: "d" }).textContent, /every call of this tool/);
});

test("a tool that gave nothing says so where it may be seen, and else does not open", () => {
  const open = drawAction({ state: "done", takes: "{}", gives: "", seconds: 1 }).querySelector("details");
  open.setAttribute("open", "");
  open.dispatchEvent(new document.defaultView.Event("toggle"));
  assert.equal(open.querySelector(".fg-step-text").textContent, "(no result)");
  assert.equal(drawAction({ state: "done" }).querySelector("details"), null);
});

test("who is asked sees what is not seen, or turns others round, as what it is", () => {
  const hidden = "pay \u202eEUR 001\u202c\u00ad\u200b\ufe0f\u{e0041}\u001b[2K to Bob\nnow";
  const spelled = "pay \\u202eEUR 001\\u202c\\u00ad\\u200b\\ufe0f\\ue0041\\u001b[2K to Bob\nnow";
  const asked = drawAction({ state: "waiting", takes: "{}", digest: "d", name: "Pay\u202e", sends: `POST https://a.b\n\n${hidden}` });
  assert.equal(asked.querySelector(".fg-action-name").textContent, "Pay\\u202e");
  assert.equal(asked.querySelector(".fg-step-text").textContent, `POST https://a.b\n\n${spelled}`);
  const far = drawAction({ state: "waiting", takes: "{}", digest: "d", sends: `1 to Bob${"\u00a0\n".repeat(500)}9 to Eve` });
  assert.equal(far.querySelector(".fg-step-text").textContent, "1 to Bob (1000 blanks) 9 to Eve");
  const told = { [hidden]: [{ a: hidden }, `b${" ".repeat(50)}`, "\u2028c"] };
  const shown = drawAction({ state: "waiting", takes: JSON.stringify(told), digest: "d" }).querySelector(".fg-data").textContent;
  assert.ok(shown.includes(`"${spelled.replace("\n", "\\n")}": [\n`) && shown.includes('"b (50 blanks) "') && shown.includes('"\\u2028c"'), shown);
  const done = drawAction({ state: "done", takes: "{}", gives: hidden, seconds: 1 }).querySelector("details");
  done.setAttribute("open", "");
  done.dispatchEvent(new document.defaultView.Event("toggle"));
  assert.equal(done.querySelector(".fg-step-text").textContent, hidden);
});
