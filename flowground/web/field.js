// The field of a chat, from the first moment of a page: where it stood when this browser last had this page, until the
// chat is drawn and takes what was typed (frontend/src/chat.js). What is kept is its flow's id, its place and its colours.
(() => {
  const KEY = "flowground-field", MOST = 20;
  // Milliseconds after a page without a chat is drawn: chat.js may still be on its way, the longer if somebody types.
  const PATIENCE = 1500, PATIENCE_TYPED = 10_000;
  const read = () => { try { return JSON.parse(localStorage.getItem(KEY)) ?? []; } catch { return []; } };
  const keep = (places) => { try { localStorage.setItem(KEY, JSON.stringify(places.slice(-MOST))); } catch { /* none next time */ } };
  const isTouched = () => matchMedia("(pointer: coarse)").matches;
  // Null for an address with more than a flow and a chat. The field of a new chat stands in the middle, else at the end.
  const describe = () => {
    const { flow = "", session, ...more } = Object.fromEntries(new URLSearchParams(location.search));
    const looks = `${innerWidth}x${innerHeight} ${document.documentElement.dataset.look}`;
    return Object.keys(more).length ? null : `${location.pathname} ${flow} ${session ? "chat" : "new"} ${looks}`;
  };
  const others = () => read().filter(([name]) => name !== describe());
  let found;
  try { found = read().find(([name]) => name === describe()); } catch { keep([]); }
  const box = document.createElement("textarea"), field = document.createElement("div");
  let isOver = !found, timer = 0;
  const end = () => {
    isOver = true;
    clearTimeout(timer);
    watcher.disconnect();
    field.remove();
  };
  const forget = () => {
    keep(others());
    end();
  };
  const watch = () => {
    if (!field.isConnected && document.body) {
      document.body.append(field);
      if (!isTouched()) box.focus();
    }
    // Another page came: it asks who is here, or says that there is no such flow.
    if (document.querySelector('.stMain input, [role="dialog"]')) return forget();
    const isDrawn = document.querySelector('[data-test-script-state="notRunning"] .stMain [data-testid="stElementContainer"]');
    clearTimeout(timer);
    if (isDrawn) timer = setTimeout(forget, box.value ? PATIENCE_TYPED : PATIENCE);
  };
  const watcher = new MutationObserver(watch);
  Object.assign(window.flowground, {
    keepField: (style) => describe() && keep([...others(), [describe(), style]]),
    forgetFields: () => { keep([]); window.flowground.keepField = () => {}; },
    // What was typed so far, and whether it has the focus and was sent; null where no field was there.
    takeField() {
      if (isOver) return null;
      const text = box.value, isFocused = document.activeElement === box;
      end();
      return { text, isFocused, isSent: "sent" in box.dataset };
    },
  });
  if (isOver) return;
  field.id = "fg-field";
  field.style.cssText = found[1];
  field.append(box);
  field.onpointerdown = (event) => event.target === box || (event.preventDefault(), box.focus());
  box.ariaLabel = "Message";
  box.oninput = () => { delete box.dataset.sent; watch(); };
  box.onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229 || isTouched()) return;
    event.preventDefault();
    box.dataset.sent = "";
  };
  watcher.observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-test-script-state"] });
})();
