// @ts-check
/** The one WebSocket of a page: it comes back by itself, and says when it is away. */

const SLOWEST = 5000;

export class Socket {
  /** `hear(frame)` gets each frame; `change(state)` is told "open", "away", or the frame that closed it for good. */
  constructor(address, { hear, change, dial = (url) => new WebSocket(url) }) {
    this.address = `${location.origin.replace(/^http/, "ws")}${address}`;
    this.hear = hear;
    this.change = change;
    this.dial = dial;
    this.tries = 0;
    this.isOver = false;
    this.link = this.timer = null;
    this.comeBack = () => this.isOver || this.isOpen || this.connect();
    addEventListener("online", this.comeBack);
    this.connect();
  }

  get isOpen() {
    return this.link?.readyState === 1;
  }

  connect() {
    clearTimeout(this.timer);
    this.link?.close();
    const link = (this.link = this.dial(this.address));
    link.onopen = () => {
      this.tries = 0;
      this.change("open");
    };
    link.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type !== "closed") return this.hear(frame);
      if (frame.reason === "outage") return undefined; // the page dials again by itself
      this.isOver = true;
      return this.change(frame);
    };
    link.onclose = () => {
      if (this.isOver || link !== this.link) return;
      this.change("away");
      this.timer = setTimeout(() => this.connect(), Math.min(250 * 2 ** this.tries++, SLOWEST));
    };
  }

  /** False where it is not open: nothing was sent.
   * @param {import("../frames.js").ClientFrame} frame */
  send(frame) {
    if (!this.isOpen) return false;
    this.link.send(JSON.stringify(frame));
    return true;
  }

  retry() {
    this.isOver = false;
    this.tries = 0;
    this.connect();
  }

  close() {
    this.isOver = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.comeBack);
    this.link.close();
  }
}
