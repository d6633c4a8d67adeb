// Seconds that go by while one waits. A screen reader reads them on demand: it is told when they are over, by who shows them.

import { make } from "../dom.js";

export class Countdown {
  /** Shows the seconds that are left, and calls `end` after the last one. */
  constructor(seconds, end) {
    this.element = make("span", { role: "timer" }); // which is no live region
    this.until = performance.now() + seconds * 1000;
    this.end = end;
    this.tick();
  }

  tick() {
    const left = this.until - performance.now();
    const seconds = Math.ceil(left / 1000);
    if (seconds <= 0) return this.end();
    this.element.textContent = `${seconds} s`;
    this.timer = setTimeout(() => this.tick(), left - (seconds - 1) * 1000);
    return undefined;
  }

  stop() {
    clearTimeout(this.timer);
  }
}
