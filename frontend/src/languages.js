/** Which words after a fence mean which language, what it is called, and where its grammar is. */

const GRAMMARS = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  dart: () => import("highlight.js/lib/languages/dart"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  elixir: () => import("highlight.js/lib/languages/elixir"),
  go: () => import("highlight.js/lib/languages/go"),
  graphql: () => import("highlight.js/lib/languages/graphql"),
  haskell: () => import("highlight.js/lib/languages/haskell"),
  http: () => import("highlight.js/lib/languages/http"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  julia: () => import("highlight.js/lib/languages/julia"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  latex: () => import("highlight.js/lib/languages/latex"),
  lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  matlab: () => import("highlight.js/lib/languages/matlab"),
  nginx: () => import("highlight.js/lib/languages/nginx"),
  perl: () => import("highlight.js/lib/languages/perl"),
  php: () => import("highlight.js/lib/languages/php"),
  powershell: () => import("highlight.js/lib/languages/powershell"),
  python: () => import("highlight.js/lib/languages/python"),
  r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  scala: () => import("highlight.js/lib/languages/scala"),
  scss: () => import("highlight.js/lib/languages/scss"),
  shell: () => import("highlight.js/lib/languages/shell"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};
const ALIASES = {
  "c++": "cpp", "c#": "csharp", cs: "csharp", docker: "dockerfile", ex: "elixir", golang: "go", h: "c", hpp: "cpp", hs: "haskell",
  html: "xml", svg: "xml", conf: "ini", toml: "ini", properties: "ini", js: "javascript", jsx: "javascript", mjs: "javascript",
  node: "javascript", jsonc: "json", json5: "json", jl: "julia", kt: "kotlin", tex: "latex", make: "makefile", md: "markdown",
  patch: "diff", pl: "perl", ps1: "powershell", pwsh: "powershell", ps: "powershell", py: "python", python3: "python",
  rb: "ruby", rs: "rust", sass: "scss", sh: "bash", zsh: "bash", console: "shell", "shell-session": "shell", ts: "typescript",
  tsx: "typescript", vue: "xml", xhtml: "xml", yml: "yaml", postgresql: "sql", psql: "sql", mysql: "sql", sqlite: "sql",
};
const NAMES = {
  bash: "Bash", c: "C", cpp: "C++", csharp: "C#", css: "CSS", go: "Go", graphql: "GraphQL", html: "HTML", http: "HTTP", java: "Java",
  javascript: "JavaScript", json: "JSON", latex: "LaTeX", lua: "Lua", php: "PHP", powershell: "PowerShell", r: "R", scss: "SCSS",
  sql: "SQL", svg: "SVG", toml: "TOML", typescript: "TypeScript", xml: "XML", yaml: "YAML", ini: "INI", text: "", txt: "", plaintext: "", plain: "",
};
const own = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

/** `{name, grammar}` of a language we colour, or undefined. */
export async function findGrammar(word) {
  const name = resolve(word), load = own(GRAMMARS, name);
  return load && { name, grammar: (await load()).default };
}

const resolve = (word) => own(ALIASES, word.toLowerCase()) ?? word.toLowerCase();

/** What people call it. */
export function nameLanguage(word) {
  const written = word.toLowerCase();
  const known = own(NAMES, written) ?? own(NAMES, resolve(word));
  if (known !== undefined) return known;
  const name = own(GRAMMARS, resolve(word)) ? resolve(word) : word;
  return name.charAt(0).toUpperCase() + name.slice(1);
}
