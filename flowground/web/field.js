// The field of a chat, from the first moment of a page: where it stood when this browser last had this page, until the
// chat is drawn and takes what was typed (frontend/src/chat.js). Only its place and colours are kept.
(() => {
  const KEY = "flowground-field", MOST = 20, PATIENCE = 1500;
  const read = () => { try { return JSON.parse(localStorage.getItem(KEY)) ?? []; } catch { return []; } };
  const keep = (places) => { try { localStorage.setItem(KEY, JSON.stringify(places.slice(-MOST))); } catch { /* none next time */ } };
  const describe = () => {
    const asked = new URLSearchParams(location.search), session = asked.has("session") ? " chat" : "";
    asked.delete("session");
    return `${location.pathname}?${asked}${session} ${innerWidth}x${innerHeight} ${document.documentElement.dataset.look}`;
  };
  const others = () => read().filter(([name]) => name !== describe());
  const found = read().find(([name]) => name === describe());
  const box = document.createElement("textarea"), field = document.createElement("div");
  let isOver = !found;
  const end = () => {
    isOver = true;
    watcher.disconnect();
    field.remove();
  };
  const watcher = new MutationObserver(() => {
    if (!field.isConnected && document.body) {
      document.body.append(field);
      if (!matchMedia("(pointer: coarse)").matches) box.focus();
    }
    // Another page came: it asks who is here, or says that there is no such flow.
    if (document.querySelector('.stMain input, [role="dialog"]')) forget();
    else if (document.querySelector('[data-test-script-state="notRunning"] .stMain [data-testid="stElementContainer"]'))
      setTimeout(() => isOver || forget(), PATIENCE);
  });
  const forget = () => {
    keep(others());
    end();
  };
  Object.assign(window.flowground, {
    keepField: (style) => keep([...others(), [describe(), style]]),
    /** What was typed so far, and whether it has the focus and was sent; null where no field was there. */
    takeField() {
      if (isOver) return null;
      const text = box.value, isFocused = document.activeElement === box;
      end();
      return { text, isFocused, isSent: Boolean(text.trim()) && "sent" in box.dataset };
    },
  });
  if (isOver) return;
  field.id = "fg-field";
  field.style.cssText = found[1];
  field.append(box);
  box.ariaLabel = "Message";
  box.oninput = () => delete box.dataset.sent;
  box.onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    box.dataset.sent = "";
  };
  watcher.observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-test-script-state"] });
})();
