// @ts-check
/** Markdown to blocks: markdown-it without raw HTML, with notes and formulas. */

import MarkdownIt from "markdown-it";
import readNotes from "markdown-it-footnote";
import { readFormulas } from "./formulas.js";

/** Containers within each other; what lies deeper is shown as the letters it has. */
const DEEPEST = 40;
/** A mark that begins something, and has no end in what is left of its text. */
const OPEN_MARK = /(^|[\s([{"'“‘])(?:\*{1,3}|`+)(?=\S|$)([^*`]*)$/;

/** What is drawn one by one of a long block, by the level of its first token: items of a list, rows of a table. */
const PARTS = { list_item_open: 1, tr_open: 2 };

const whole = makeReader();
/** Notes stand at the end, and are left out as long as that may come. */
const growing = makeReader();
growing.core.ruler.disable("footnote_tail");

function makeReader() {
  const reader = new MarkdownIt({ linkify: true, maxNesting: 2 * DEEPEST }).use(readFormulas).use(readNotes);
  reader.inline.ruler.disable("footnote_inline");
  reader.linkify.set({ fuzzyLink: false });
  const measure = (text, at, self) => Math.max(0, self.testSchemaAt(`http://www.${text.slice(at)}`, "http:", 5) - "//www.".length);
  reader.linkify.add("www.", { validate: measure, normalize: (found) => (found.url = `http://${found.url}`) });
  const match = reader.linkify.match.bind(reader.linkify);
  reader.linkify.match = (text) => match(text)?.flatMap((found) => cutLink(found, reader.linkify)) ?? null;
  const matchAtStart = reader.linkify.matchAtStart.bind(reader.linkify);
  reader.linkify.matchAtStart = (text) => {
    const found = matchAtStart(text);
    return found && cutLink(found, reader.linkify)[0];
  };
  reader.validateLink = (href) => /^(?:https?:\/\/|mailto:)/i.test(href) && URL.canParse(href);
  reader.block.ruler.before("table", "deep", readDeep);
  reader.core.ruler.before("inline", "last", ({ env, tokens }) => (env.last = findLast(tokens)?.content));
  reader.core.ruler.push("open_mark", ({ env, tokens }) => env.isGrowing || env.isCut ? hideMark(tokens) : undefined);
  return reader;
}

/** Blocks in order, as tokens with the place of their first line, and of `parts` where each begins.
 * @param {string} text
 * @param {{isGrowing?: boolean, isCut?: boolean, references?: object}} env `isGrowing`: what has no end may still get one;
 * `isCut`: it would have; `references` are addresses by their names, and get those of this text */
export function readMarkdown(text, env) {
  const lines = text.split("\n"), starts = [0];
  for (const line of lines) starts.push(starts.at(-1) + line.length + 1);
  const blocks = [];
  let level = 0, first = 0;
  const tokens = (env.isGrowing ? growing : whole).parse(text, env);
  tokens.forEach((token, at) => {
    if (level === 0) first = at;
    level += token.nesting;
    if (level > 0 || tokens[first].type === "footnote_reference_open") return;
    const [from, to] = tokens[first].map ?? [lines.length, lines.length], block = tokens.slice(first, at + 1);
    const parts = block.flatMap(({ type, level: depth, map }, place) => (PARTS[type] === depth && block[place - 1].type !== "thead_open" ? { place, source: text.slice(starts[map[0]], starts[map[1]]) } : []));
    blocks.push({ tokens: block, parts, start: starts[from], source: text.slice(starts[from], starts[to]) });
  });
  return blocks;
}

/** An address up to its end, and those behind it; what follows one without a space, as in JSON, is letters. */
function cutLink(found, linkify) {
  const { index, text, url } = found, end = findEnd(text);
  if (found.schema === "mailto:" || end === text.length) return [found];
  const more = linkify.match(text.slice(end)) ?? [], at = index + end;
  for (const next of more) Object.assign(next, { index: next.index + at, lastIndex: next.lastIndex + at });
  return [{ ...found, text: text.slice(0, end), url: url.slice(0, url.length - text.length + end), lastIndex: at }, ...more];
}

/** Where an address has its end: at what none has, and before brackets and stops that only follow it. */
function findEnd(text) {
  const found = text.search(/["\\<>`]|'(?=[\s,;:\])}]|$)/), last = found < 0 ? text.length : found;
  let end = 0, open = 0;
  for (; end < last && open >= 0; end++) open += "{[".includes(text[end]) ? 1 : "]}".includes(text[end]) ? -1 : 0;
  return text.slice(0, open < 0 ? end - 1 : end).replace(/[,.;:!?]+$/, "").length;
}

function readDeep(state, line, end, isSilent) {
  if (state.level < DEEPEST) return false;
  if (isSilent) return true;
  state.push("paragraph_open", "p", 1).map = [line, end];
  const content = state.getLines(line, end, 0, false).trim();
  Object.assign(state.push("code_text", "", 0), { content });
  state.push("paragraph_close", "p", -1);
  state.line = end;
  return true;
}

/** What may go on: the text behind which nothing begins. */
function findLast(tokens) {
  const at = tokens.findLastIndex(({ type }) => type === "inline");
  return tokens.slice(at + 1).every(({ nesting }) => nesting < 0) ? tokens[at] : undefined;
}

/** Takes away the mark that is left open at the end of the last paragraph. */
function hideMark(tokens) {
  const last = findLast(tokens)?.children.at(-1);
  if (last?.type === "text") last.content = last.content.replace(OPEN_MARK, "$1$2");
}
