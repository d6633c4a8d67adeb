/** The steps of a flow as a list that lights up, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";

const { Follower, drawSteps, lightSteps } = await import("../src/inside.js");

const NAMES = ["Prompt", "Search", "Model"];

test("steps say what they are at, and of an answer what they took", () => {
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
  follower.hear({ type: "step", run: "r", states: { Prompt: "running" } });
  assert.deepEqual(list(), ["Running", "", ""]);
  follower.hear({ type: "step", run: "r", states: { Search: "failed", Model: "done" } });
  assert.deepEqual(list(), ["Running", "Failed", "Done"]);
  follower.message = "l";
  follower.hear({ type: "steps", message: "l", steps: NAMES.slice(0, 2).map((id) => ({ id, status: "done" })) });
  assert.deepEqual(list(), ["Done", "Done", ""]);
  follower.message = "m";
  follower.hear({ type: "steps", message: "m", steps: [{ id: "Model", status: "done", seconds: 1 }], tools: [{ id: "Search", status: "failed", seconds: 2 }] });
  assert.deepEqual(list(), ["", "Failed · 2.0 s", "Done · 1.0 s"]);
  follower.socket.close();
});
