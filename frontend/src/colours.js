/** Colours of code by highlight.js, written as elements: what it finds is a tree, and none of it is read as HTML. */

import highlighter from "highlight.js/lib/core";

class Tree {
  constructor(options) {
    this.options = options;
    this.root = { scope: null, children: [] };
    this.stack = [this.root];
  }

  addText(text) {
    if (text) this.stack.at(-1).children.push(text);
  }

  startScope(scope) {
    const part = { scope, children: [] };
    this.stack.at(-1).children.push(part);
    this.stack.push(part);
  }

  endScope() {
    this.stack.pop();
  }

  __addSublanguage(emitter, name) {
    this.stack.at(-1).children.push({ scope: name ? null : emitter.root.scope, children: emitter.root.children });
  }

  openNode(scope) {
    this.startScope(scope);
  }

  closeNode() {
    this.endScope();
  }

  finalize() {}

  toHTML() {
    return "";
  }
}

highlighter.configure({ __emitter: Tree, classPrefix: "" });

export function colour(code, text, { name, grammar }) {
  if (!highlighter.getLanguage(name)) highlighter.registerLanguage(name, grammar);
  const { root } = highlighter.highlight(text, { language: name, ignoreIllegals: true })._emitter;
  const drawn = code.ownerDocument.createElement("code");
  write(drawn, root.children, code.ownerDocument, 0);
  if (drawn.textContent === text) code.replaceChildren(...drawn.childNodes);
}

function write(element, parts, document, depth) {
  for (const part of parts) {
    if (typeof part === "string") element.append(part);
    else if (!part.scope || depth > 20) write(element, part.children, document, depth);
    else {
      const span = document.createElement("span");
      span.className = `fg-c-${part.scope.split(/[.:]/)[0].replaceAll("_", "-")}`;
      write(span, part.children, document, depth + 1);
      element.append(span);
    }
  }
}
