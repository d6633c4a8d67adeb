// @ts-check
/** The languages that we colour: highlight.js' common ones, and these. */

import highlighter from "highlight.js/lib/common";
import dart from "highlight.js/lib/languages/dart";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import elixir from "highlight.js/lib/languages/elixir";
import haskell from "highlight.js/lib/languages/haskell";
import http from "highlight.js/lib/languages/http";
import julia from "highlight.js/lib/languages/julia";
import latex from "highlight.js/lib/languages/latex";
import matlab from "highlight.js/lib/languages/matlab";
import nginx from "highlight.js/lib/languages/nginx";
import powershell from "highlight.js/lib/languages/powershell";
import scala from "highlight.js/lib/languages/scala";

const MORE = { dart, dockerfile, elixir, haskell, http, julia, latex, matlab, nginx, powershell, scala };
for (const [name, grammar] of Object.entries(MORE)) highlighter.registerLanguage(name, grammar);
highlighter.registerAliases(["conf", "properties"], { languageName: "ini" });
highlighter.registerAliases(["node"], { languageName: "javascript" });
highlighter.registerAliases(["vue"], { languageName: "xml" });
highlighter.registerAliases(["psql", "mysql", "sqlite"], { languageName: "sql" });
highlighter.registerAliases(["sass"], { languageName: "scss" });
highlighter.configure({ classPrefix: "fg-c-" });

export default highlighter;
