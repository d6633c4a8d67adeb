// The page follows what grows at its end as long as its reader is there, and has a way back to it.

const NEAR = 80;

function findScroller(element) {
  for (let place = element.parentElement; place; place = place.parentElement)
    if (/auto|scroll/.test(getComputedStyle(place).overflowY)) return place;
  return document.scrollingElement;
}

export class Scroll {
  /** `change(isAtEnd)` is told when the reader leaves the end, and when they are back. */
  constructor(root, change) {
    this.root = root;
    this.place = findScroller(root);
    this.change = change;
    this.isFollowing = true;
    this.last = 0;
    this.notice = () => {
      const top = this.place.scrollTop;
      const wentUp = top < this.last - 2;
      this.last = top;
      if (this.isNear) this.follow(true);
      else if (wentUp && !this.isShrinking) this.follow(false);
    };
    this.fit = () => {
      const above = root.getBoundingClientRect().top - this.place.getBoundingClientRect().top + this.place.scrollTop;
      root.style.setProperty("--fg-above", `${Math.max(0, Math.round(above))}px`);
      root.style.setProperty("--fg-tall", `${this.place.clientHeight}px`);
      this.keepUp();
    };
    this.place.addEventListener("scroll", this.notice, { passive: true });
    addEventListener("resize", this.fit);
    this.watcher = new ResizeObserver(() => this.grow());
    this.stay = ({ target }) => target.closest(".fg-wrap, .fg-cite, .fg-sources summary") && this.holdOnce();
    root.addEventListener("click", this.stay);
    this.fit();
  }

  watch(element) {
    this.watcher.observe(element);
  }

  get left() {
    return this.place.scrollHeight - this.place.clientHeight - this.place.scrollTop;
  }

  get isNear() {
    return this.left < NEAR;
  }

  follow(isFollowing) {
    if (this.isFollowing === isFollowing) return;
    this.isFollowing = isFollowing;
    this.change(isFollowing || this.isNear);
  }

  /** What grows because its reader pressed it grows downwards: the page does not follow it to the end. */
  holdOnce() {
    this.isHeld = true;
    requestAnimationFrame(() => requestAnimationFrame(() => (this.isHeld = false)));
  }

  grow() {
    if (this.isHeld) {
      this.follow(this.isNear);
      this.change(this.isNear);
    } else if (this.isFollowing) this.keepUp();
    else this.change(this.isNear);
  }

  /** To the end again with a reader who follows, but for one who edits what was said: it would leave their sight. An
   * empty conversation begins with its welcome and stays there. */
  keepUp() {
    const editor = this.root.querySelector(".fg-editor");
    const isEmpty = this.root.hasAttribute("data-empty");
    if (this.isFollowing && !isEmpty && !editor?.contains(document.activeElement)) this.toEnd();
  }

  toStart() {
    this.place.scrollTo({ top: 0, behavior: "instant" });
    this.last = 0;
  }

  toEnd({ isSmooth = false } = {}) {
    this.follow(true);
    const still = !isSmooth || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.place.scrollTo({ top: this.place.scrollHeight, behavior: still ? "instant" : "smooth" });
    this.last = this.place.scrollTop;
  }

  /** Brings it between the page's head and the foot, which lie above the messages. */
  reveal(element, foot) {
    element.style.scrollMarginBlock = `5rem ${foot.offsetHeight + 16}px`;
    element.scrollIntoView({ block: "nearest" });
  }

  /** Keeps what is read in its place while `act` puts something above it. */
  hold(act) {
    const before = this.place.scrollHeight - this.place.scrollTop;
    act();
    this.place.scrollTop = this.place.scrollHeight - before;
    this.last = this.place.scrollTop;
  }

  close() {
    this.place.removeEventListener("scroll", this.notice);
    removeEventListener("resize", this.fit);
    this.root.removeEventListener("click", this.stay);
    this.watcher.disconnect();
  }
}
