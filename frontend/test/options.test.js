/** What the flow asks beside the message, without a browser. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import "./page.js";

const { Options, read, write } = await import("../src/chat/options.js");

const field = (title, widget, value, more = {}) => ({ component: title, name: "input_value", address: title, title, help: "", widget, kind: "text", value, min: null, max: null, step: null, choices: [], is_whole: false, is_optional: false, ...more });
const LANGUAGE = field("Language", "choice", "German", { choices: ["German", "French"].map((value) => ({ value, label: value })) });
const NUMBER = { component: "Model", name: "temperature", address: "Model.temperature", kind: "a number from 0 to 1", min: 0, max: 1, step: 0.01 };
const TEMPERATURE = field("Temperature", "number", 0.3, NUMBER);
const TOKENS = field("Max Tokens", "integer", null, { component: "Model", name: "max_tokens", address: "Model.max_tokens", kind: "a whole number of at least 1", min: 1, is_whole: true, is_optional: true });
const TONE = field("Tone", "text", "kind", { component: "Prompt", name: "tone", address: "Prompt.tone" });
const STREAM = field("Stream", "switch", true, { component: "Model", name: "stream", address: "Model.stream" });
const FIELDS = [LANGUAGE, TEMPERATURE, TOKENS, TONE, STREAM];

let kept;
beforeEach(() => {
  kept = new Map();
});

function open(search = "", { key = "new", overrides = {}, fields = FIELDS } = {}) {
  globalThis.location = { search, origin: "https://example.com", pathname: "/playground" };
  const told = [];
  const drafts = { read: (name) => kept.get(name) ?? "", keep: (name, text) => (text ? kept.set(name, text) : kept.delete(name)) };
  const options = new Options({ shareTweaks: () => told.push("change"), composer: { focus: () => told.push("focus") }, speak() {} }, drafts);
  options.describe(fields, overrides);
  options.open(key);
  const set = (title, value) => {
    const control = options.controls.find((one) => one.field.title === title);
    control.write(value);
    options.change(control);
  };
  return { options, told, set, said: () => options.told.textContent };
}

const CHANGED = { Language: { input_value: "French" }, Model: { temperature: 0 }, Prompt: { tone: "" } };

test("what a text means for each kind of field", () => {
  const meant = [
    [LANGUAGE, "French", "French"], [LANGUAGE, "Klingon", undefined],
    [TEMPERATURE, "0.5", 0.5], [TEMPERATURE, "1.5", undefined], [TEMPERATURE, "warm", undefined], [TEMPERATURE, "", null],
    [TOKENS, "17", 17], [TOKENS, "17.5", undefined], [TOKENS, "0", undefined], [TOKENS, "90071992547409930", "90071992547409930"],
    [TONE, "", ""], [TONE, "x".repeat(10_001), undefined], [STREAM, "Off", false], [STREAM, "yes", true], [STREAM, "maybe", undefined],
  ];
  for (const [one, text, value] of meant) assert.equal(read(one, text).value, value, `${one.title} ${text.slice(0, 20)}`);
  assert.equal(read(LANGUAGE, "Klingon").mistake, "Language is one of German, French.");
  assert.equal(read(TEMPERATURE, "7").mistake, "Temperature is a number from 0 to 1.");
  assert.equal(read(TONE, "x".repeat(10_001)).mistake, "Tone has 10,001 characters; 10,000 is the limit.");
  assert.deepEqual([write(TOKENS, null), write(STREAM, false), write(TONE, " a\nb "), write(TONE, "")], ["not set", "off", "a b", "empty"]);
});

test("only what differs from the author's values goes along", () => {
  const { options, set, told } = open();
  assert.deepEqual(options.merge({}), {});
  set("Language", "French");
  set("Temperature", 0);
  set("Tone", "");
  assert.deepEqual(options.merge({}), CHANGED);
  set("Language", "German");
  assert.equal(told.length, 4);
  assert.deepEqual(options.merge({ Memory: { n: 1 } }), { Model: { temperature: 0 }, Prompt: { tone: "" }, Memory: { n: 1 } });
});

test("a temporary override wins, and stands in the field", () => {
  const { options, set } = open("", { overrides: { Language: { input_value: "French" } } });
  const [language] = options.controls;
  assert.ok(language.input.disabled);
  assert.match(language.below.textContent, /temporary overrides/);
  assert.match(options.summary.textContent, /Language: French/);
  set("Temperature", 0.9);
  assert.deepEqual(options.merge(options.overrides), { Language: { input_value: "French" }, Model: { temperature: 0.9 } });
  options.describe(FIELDS, {});
  assert.ok(!language.input.disabled);
  assert.match(options.summary.textContent, /Language: German/);
});

test("a value that does not fit is said, and nothing is sent with it", () => {
  const { options, set } = open();
  set("Temperature", 7);
  assert.equal(options.check(), false);
  assert.ok(options.fold.open);
  assert.equal(options.controls[1].below.textContent, "Temperature is a number from 0 to 1.");
  assert.deepEqual(options.merge({}), {});
  set("Temperature", 0.7);
  assert.equal(options.check(), true);
});

test("what the author wrote is never a mistake", () => {
  const fields = [{ ...TEMPERATURE, value: 1.7 }, { ...TONE, value: "x".repeat(20_000) }, { ...TOKENS, value: "9007199254740993" }];
  const { options, set } = open("", { fields });
  assert.equal(options.check(), true);
  assert.deepEqual(options.merge({}), {});
  set("Temperature", 1.6);
  assert.equal(options.check(), false);
});

test("an address fills in what is asked, in any letters, and nothing else", () => {
  const { options, said } = open("?flow=f&language=French&Model.temperature=0.5&utm_source=x&session=s");
  assert.deepEqual(options.merge({}), { Language: { input_value: "French" }, Model: { temperature: 0.5 } });
  assert.equal(said(), "");
  const other = open("?Language=Klingon&Model.temperature=7&Model.top_p=1&Prompt.template=x");
  assert.deepEqual(other.options.merge({}), {});
  for (const words of ["Language is one of German, French.", "a number from 0 to 1", "Model.top_p in", "Prompt.template in"])
    assert.ok(other.said().includes(words), words);
  const named = open("?flow=French", { fields: [{ ...LANGUAGE, component: "Flow", address: "Flow" }] });
  assert.deepEqual(named.options.merge({}), {});
});

test("what was chosen comes back with its conversation, and a new address begins anew", () => {
  const first = open("?Language=French");
  first.set("Temperature", 0.9);
  first.options.rename("s1");
  assert.equal(kept.has("new"), false);
  const values = { Language: { input_value: "French" }, Model: { temperature: 0.9 } };
  assert.deepEqual(open("?Language=French&session=s1", { key: "s1" }).options.merge({}), values);
  assert.deepEqual(open("?session=s1", { key: "s1" }).options.merge({}), values);
  assert.deepEqual(open("?Prompt.tone=stern&session=s1", { key: "s1" }).options.merge({}), { Prompt: { tone: "stern" } });
  assert.deepEqual(open("", { key: "s2" }).options.merge({}), {});
  kept.set("s3", "no JSON");
  assert.deepEqual(open("", { key: "s3" }).options.merge({}), {});
});

test("a link has the flow and the values, and begins another conversation", () => {
  const { options, set } = open("?flow=f&session=s");
  set("Language", "French");
  set("Tone", "a & b");
  const link = options.writeLink();
  assert.equal(link, "https://example.com/playground?flow=f&Language=French&Prompt.tone=a+%26+b");
  assert.deepEqual(open(new URL(link).search).options.merge({}), { Language: { input_value: "French" }, Prompt: { tone: "a & b" } });
});

test("the author's newer file keeps what still fits", () => {
  const { options, set } = open();
  set("Language", "French");
  set("Temperature", 0.9);
  options.describe([{ ...TEMPERATURE, max: 0.5 }, LANGUAGE], {});
  assert.deepEqual(options.merge({}), { Language: { input_value: "French" } });
});

test("what is required is asked for when something is sent, and not before", () => {
  const choices = [["", "Please choose"], ["Kettle", "Kettle"]].map(([value, label]) => ({ value, label }));
  const { options, set } = open("", { fields: [field("Product", "choice", "", { choices, is_required: true }), field("Order", "text", "", { is_required: true })] });
  const said = () => options.controls.map(({ below }) => below.textContent);
  assert.deepEqual(said(), ["", ""]);
  assert.equal(options.check(), false);
  assert.deepEqual(said(), ["Product is needed.", "Order is needed."]);
  set("Product", "Kettle");
  set("Order", " ");
  assert.deepEqual([options.check(), said()], [false, ["", "Order is needed."]]);
  set("Order", "7");
  assert.deepEqual([options.check(), said()], [true, ["", ""]]);
  options.open("another");
  assert.deepEqual(said(), ["", ""]);
  assert.equal(read(options.controls[0].field, "Pan").mistake, "Product is one of Kettle.");
});
