// Runs before Streamlit's scripts. What stands in capitals is filled in by first_load.py.
(() => {
  const shared = location.pathname.match(/^\/public_flow\/[^/]+/);
  window.__streamlit = {
    ...LOOKS,
    BACKEND_BASE_URL: location.origin + (shared ? shared[0] : "/"),
    // With these it opens its socket at once, and asks whether the server is there meanwhile. It takes an origin whose
    // pages may have ours in a frame and command it: one that nobody can have.
    HOST_CONFIG: { allowedOrigins: ["https://nobody.invalid"], useExternalAuthToken: false },
  };
  if (shared || location.pathname === "/playground")
    for (const href of CHAT_MODULES)
      document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href, fetchPriority: "low" }));

  // Light, dark, or as the system: Streamlit follows the system, so it is told here what that is. Kept in this browser,
  // for all pages. The control in the sidebar (flowground/ui/shell/look.py) reads and sets `flowground.look`.
  const dark = "(prefers-color-scheme: dark)";
  const ask = window.matchMedia.bind(window);
  const system = ask(dark);
  const read = () => { try { return localStorage.getItem("flowground-look"); } catch { return null; } };
  let chosen = read(), isPrinting = false;
  const answer = Object.defineProperty(new EventTarget(), "matches", {
    get: () => !isPrinting && (chosen === "dark" || (chosen !== "light" && system.matches)),
  });
  Object.assign(answer, { media: dark, addListener(told) { this.addEventListener("change", told); } });
  window.matchMedia = (query) => (query === dark ? answer : ask(query));
  const tell = () => {
    document.documentElement.dataset.look = answer.matches ? "dark" : "light";
    answer.dispatchEvent(new Event("change"));
  };
  window.flowground = {
    get look() { return chosen === "dark" || chosen === "light" ? chosen : "system"; },
    set look(wanted) {
      chosen = wanted;
      try { localStorage.setItem("flowground-look", wanted); } catch { /* then for this page only */ }
      tell();
    },
  };
  system.addEventListener("change", tell);
  window.addEventListener("storage", (event) => {
    if (event.key !== "flowground-look") return;
    chosen = read();
    tell();
  });
  for (const [moment, is] of [["beforeprint", true], ["afterprint", false]])
    addEventListener(moment, () => { isPrinting = is; tell(); }); // paper is light
  tell();

  // The phone's Back closes what lies over the page, where the browser asks so (CloseWatcher). No entry of the history
  // stands for it: Streamlit would run the page again at each.
  const isTouched = () => ask("(pointer: coarse)").matches;
  const closeAtBack = ({ close, isOpen, watched }) => {
    if (!window.CloseWatcher || !isTouched()) return;
    const back = new CloseWatcher();
    const watcher = new MutationObserver(() => {
      if (isOpen()) return;
      watcher.disconnect();
      back.destroy();
    });
    back.onclose = () => { watcher.disconnect(); close(); };
    for (const [element, what] of watched) watcher.observe(element, what);
  };

  // On a phone the open sidebar covers the page: nobody wants it back at the next load, or because the phone was turned.
  // Streamlit opens it by itself where a page is wide, and looks here first, whenever the width is another.
  const isOnItsSide = () => window.innerHeight <= 600 && isTouched();
  const isPhone = () => window.innerWidth < 768 || isOnItsSide();
  const keepClosed = () => {
    try {
      if (isOnItsSide()) localStorage.setItem("SIDEBAR_KEY", "true");
      else if (isPhone()) localStorage.removeItem("SIDEBAR_KEY");
    } catch { /* it keeps nothing */ }
  };
  keepClosed();
  addEventListener("resize", () => isOnItsSide() && keepClosed());
  const collapse = (side) => side.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  const choices = 'a, [class*="st-key-sessions-new"] button';
  // There a choice in it closes it, too: else it stands over what was chosen. So does a press beside it, which Streamlit
  // sees to where the page is narrow.
  addEventListener("click", ({ target }) => {
    if (!isPhone()) return;
    const side = target.closest?.('[data-testid="stSidebar"]');
    if (side && (target === side || target.closest(choices))) setTimeout(() => collapse(side));
    const drawer = target.closest?.('[data-testid="stExpandSidebarButton"]') && document.querySelector('[data-testid="stSidebar"]');
    if (drawer)
      closeAtBack({
        close: () => collapse(drawer),
        isOpen: () => drawer.isConnected && drawer.dataset.collapsed === "false",
        watched: [[drawer, { attributeFilter: ["data-collapsed"] }]],
      });
  });

  // A letter pressed beside a field is no command: to Streamlit, r is "run the page again", which closes a dialog.
  addEventListener("keydown", (event) => {
    const isLetter = /^[cr]$/i.test(event.key) && !(event.ctrlKey || event.metaKey || event.altKey);
    if (isLetter && !event.composedPath()[0].matches("input, textarea")) event.stopImmediatePropagation();
  }, true);

  // A link opens beside the page where one asks for that: Streamlit's own does not. A chat in a list is a link to be
  // copied, too; pressed, it does what the button beside it does, which nobody sees: Streamlit's would leave the address.
  addEventListener("click", (event) => {
    const isBeside = event.ctrlKey || event.metaKey || event.shiftKey;
    const row = event.target.closest?.("a")?.closest('[class*="st-key-sessions-row-"]');
    if (isBeside && event.target.closest?.('[data-testid="stPageLink-NavLink"]')) event.stopPropagation();
    if (isBeside || !row) return;
    event.preventDefault();
    row.querySelector('[class*="st-key-sessions-open-"] button')?.click();
  }, true);

  // A menu that a key opens has the focus: Streamlit hangs it behind all of the page.
  addEventListener("click", ({ target, detail }) => {
    const button = target.closest?.('[data-testid="stPopover"] button[aria-expanded="false"]');
    const enter = () => {
      if (document.activeElement !== button) return;
      const menu = document.querySelector('[data-testid="stPopoverBody"]');
      if (menu) Object.assign(menu, { tabIndex: -1 }).focus();
      else requestAnimationFrame(enter);
    };
    if (button && !detail) requestAnimationFrame(enter);
  }, true);

  // What is typed into a flow's file reaches the server while one types, as Ctrl+Enter would send it: what is pressed next
  // is about all of it. Who leaves the page before it is saved is asked.
  let typing = 0;
  addEventListener("input", ({ target, isComposing }) => {
    clearTimeout(typing);
    if (isComposing || !target.closest?.('[class*="st-key-edit-field"]')) return;
    const enter = { key: "Enter", ctrlKey: true, bubbles: true };
    typing = setTimeout(() => target.dispatchEvent(new KeyboardEvent("keydown", enter)), 500);
  });
  addEventListener("beforeunload", (event) => {
    if (document.querySelector('[class*="st-key-edit-unsaved"]')) event.preventDefault();
  });

  // What explains an option chooses it too.
  addEventListener("click", ({ target }) =>
    target.closest('[data-testid="stRadioCaption"]')?.parentElement.querySelector("input").click());

  // The way to the form for a token leads there: its field may be far above what it was pressed beside.
  addEventListener("click", ({ target }) => {
    if (target.closest?.('[class*="st-key-tokens-tick-"] button'))
      document.querySelector('[class*="st-key-tokens-name-"] input')?.focus();
  });

  // A dialog opens with its Close focused. Its first field has the focus instead, as soon as it is drawn, unless one did
  // something meanwhile; not where that brings up a keyboard on the screen, but for a title, which is all there is to do.
  const seen = new WeakSet();
  const selectSoon = (field, frames = 60) => { // it is drawn empty, and filled a moment later
    if (field.value || !frames) field.select();
    else requestAnimationFrame(() => selectSoon(field, frames - 1));
  };
  addEventListener("focusin", ({ target }) => {
    const dialog = target.closest('[role="dialog"]');
    if (!dialog || seen.has(dialog)) return;
    seen.add(dialog);
    closeAtBack({
      close: () => dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true })),
      isOpen: () => dialog.isConnected,
      watched: [[document.body, { childList: true }], [dialog.closest("body > *"), { childList: true, subtree: true }]],
    });
    const leave = () => {
      watcher.disconnect();
      for (const act of ["keydown", "pointerdown"]) removeEventListener(act, leave, true);
    };
    const enter = () => {
      const field = dialog.querySelector('[data-testid="stTextInputField"], textarea');
      if (!field) return;
      leave();
      const isTitle = field.closest('[class*="st-key-sessions-title"]');
      if (isTitle || !isTouched()) field.focus();
      if (isTitle) selectSoon(field);
    };
    const watcher = new MutationObserver(enter);
    watcher.observe(dialog, { childList: true, subtree: true });
    for (const act of ["keydown", "pointerdown"]) addEventListener(act, leave, true);
    enter();
  });
})();
