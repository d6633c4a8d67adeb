// Takes the splash away as soon as something of the page, or a dialog about it, is drawn below it.
(() => {
  const splash = document.getElementById("splash");
  const drawn = '.stMain [data-testid="stElementContainer"], [data-testid="stDialog"], [role="dialog"]';
  const watch = new MutationObserver(() => {
    if (!document.querySelector(drawn)) return;
    watch.disconnect();
    splash.remove();
  });
  watch.observe(document.getElementById("root").parentNode, { childList: true, subtree: true });
})();
