/** What the build puts in the place of imports that are no JavaScript. */

declare module "*.css" {
  const text: string;
  export default text;
}
declare module "markdown-it-footnote";
declare const KATEX_SHEET: string;
interface Element {
  [name: string]: any;
}
interface EventTarget {
  [name: string]: any;
}
