/** Builds what the browser loads into ../flowground/web/assets: files named by their content, and what is in them. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = resolve(process.argv[2] ?? join(HERE, "../flowground/web/assets"));
/** Modules that pages import by name, see flowground/web/assets.py. */
const ENTRIES = ["markdown", "chat", "inside", "knowledge", "reading"].filter((name) => existsSync(join(HERE, "src", `${name}.js`)));
const COMMON = { absWorkingDir: HERE, bundle: true, minify: true, outdir: OUT, metafile: true, write: false, legalComments: "none", logLevel: "warning", target: ["es2022"] };
/** Of no use here: another layout engine of 1.5 MB. Diagrams that ask for it are shown as their code. */
const LEFT_OUT = /^elkjs/;
/** Browsers know entities, whose table markdown-it brings along. */
const INSTEAD = { entities: "./src/entities.js" };

const sheets = await build({ ...COMMON, entryPoints: { katex: "katex/dist/katex.css" }, entryNames: "[name]-[hash]", assetNames: "[name]-[hash]", loader: { ".woff2": "file" }, plugins: [onlyWoff2()] });
const katex = sheets.outputFiles.map(({ path }) => relative(OUT, path)).find((name) => name.endsWith(".css"));
/** Loaded when they are needed, each built by itself: whatever changes in ours, their files keep their names. */
const LIBRARIES = ["katex", "mermaid"];
const built = new Map();
for (const name of LIBRARIES) built.set(name, await buildScripts({ [name]: name }, { plugins: [leaveOut(), findBuilt()] }));
const entries = Object.fromEntries(ENTRIES.map((name) => [name, `src/${name}.js`]));
const scripts = await buildScripts(entries, { alias: INSTEAD, loader: { ".css": "text" }, define: { KATEX_SHEET: JSON.stringify(katex) }, plugins: [textSheets(), findBuilt()] });
const builds = [sheets, ...built.values(), scripts];
write();

function buildScripts(entryPoints, options) {
  return build({ ...COMMON, entryPoints, format: "esm", splitting: true, entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", ...options });
}

/** A library that is built already is imported by the name of its file. */
function findBuilt() {
  return {
    name: "find-built",
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`^(?:${LIBRARIES.join("|")})$`) }, ({ path, kind }) => (kind !== "entry-point" && built.has(path) ? { path: `./${nameEntry(path)}`, external: true } : null));
    },
  };
}

function nameEntry(library) {
  const { outputs } = built.get(library).metafile;
  return Object.keys(outputs).map((path) => basename(path)).find((file) => new RegExp(`^${library}-[A-Z0-9]{8}\\.js$`).test(file));
}

/** Browsers of today need one format of each font. */
function onlyWoff2() {
  return {
    name: "only-woff2",
    setup({ onLoad }) {
      onLoad({ filter: /katex\.css$/ }, ({ path }) => ({ contents: readFileSync(path, "utf8").replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, ""), loader: "css" }));
    },
  };
}

/** A style sheet of ours is imported as its text, made small. */
function textSheets() {
  return {
    name: "text-sheets",
    setup({ onLoad }) {
      onLoad({ filter: /src\/[^/]*\.css$/ }, async ({ path }) => {
        const { outputFiles } = await build({ ...COMMON, entryPoints: [path] });
        return { contents: outputFiles[0].text.trim(), loader: "text" };
      });
    },
  };
}

function leaveOut() {
  return {
    name: "leave-out",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: LEFT_OUT }, ({ path }) => ({ path, namespace: "left-out" }));
      onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: 'throw new Error("left out");export default null;', loader: "js" }));
    },
  };
}

function write() {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  for (const { path, contents } of builds.flatMap(({ outputFiles }) => outputFiles)) writeFileSync(path, contents);
  const manifest = {};
  for (const [path, output] of Object.entries(scripts.metafile.outputs)) {
    if (output.entryPoint && /^src\/[^/]+\.js$/.test(output.entryPoint) && ENTRIES.includes(output.entryPoint.slice(4, -3)))
      manifest[output.entryPoint.slice(4)] = relative(OUT, resolve(HERE, path));
  }
  writeFileSync(join(OUT, "manifest.json"), `${JSON.stringify(manifest, Object.keys(manifest).sort(), 1)}\n`);
  writeFileSync(join(OUT, "LICENCES.txt"), collectLicences());
}

/** Name, version and licence text of every package of which something is in the files. */
function collectLicences() {
  const packages = new Map();
  for (const { metafile } of builds) {
    for (const { inputs } of Object.values(metafile.outputs)) {
      for (const input of Object.keys(inputs)) {
        const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
        if (folder) packages.set(folder, JSON.parse(readFileSync(join(HERE, folder, "package.json"), "utf8")));
      }
    }
  }
  const sorted = [...packages].sort(([, one], [, other]) => (one.name + one.version < other.name + other.version ? -1 : 1));
  const parts = sorted.map(([folder, { name, version, license }]) => {
    const file = readdirSync(join(HERE, folder)).sort().find((one) => /^licen[cs]e/i.test(one));
    const text = file ? readFileSync(join(HERE, folder, file), "utf8").replace(/\r\n/g, "\n").trim() : "(The package holds no text of its licence.)";
    return { title: `${name} ${version} (${typeof license === "string" ? license : license?.type ?? "see below"})`, text };
  });
  const same = new Map();
  for (const { title, text } of parts) same.set(text, [...(same.get(text) ?? []), title]);
  const list = [...same].map(([text, titles]) => `${titles.join("\n")}\n\n${text}`);
  return `Parts of these packages are in the files of this folder.\n\n${list.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}
