/** The steps of a flow as a list that lights up, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";

const { Follower } = await import("../src/inside.js");
const { drawSteps, lightSteps } = await import("../src/inside.js");

const NAMES = ["__proto__", "constructor", "Model"];

test("components may be called as what every object has", () => {
  const shown = drawSteps({ steps: NAMES.map((id) => ({ id, label: id })) }, {});
  const list = () => [...shown.rows.values()].map(({ state }) => state.textContent);
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
  globalThis.location = { origin: "http://127.0.0.1" };
  globalThis.WebSocket = class {
    close() {}
  };
  const follower = new Follower("flow", "s", (states, about) => lightSteps(shown, states, about));
  follower.hear({ type: "started", run: "r" });
  assert.deepEqual(list(), ["", "", ""]);
  follower.hear(JSON.parse('{"type": "step", "run": "r", "states": {"__proto__": "running"}}'));
  assert.deepEqual(list(), ["Running", "", ""]);
  follower.hear({ type: "step", run: "r", states: { constructor: "failed", Model: "done" } });
  assert.deepEqual(list(), ["Running", "Failed", "Done"]);
  follower.show(NAMES.slice(0, 2).map((id) => ({ id, status: "done" })));
  assert.deepEqual(list(), ["Done", "Done", ""]);
  follower.message = "m";
  follower.hear({ type: "steps", message: "m", steps: [{ id: "Model", status: "done", seconds: 1 }], tools: [{ id: "constructor", status: "failed", seconds: 2 }] });
  assert.deepEqual(list(), ["", "Failed · 2.0 s", "Done · 1.0 s"]);
  follower.close();
});
