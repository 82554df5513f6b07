// What the page does beyond text: tabs, the table of contents on narrow screens, figures at full size, and printing.
// Only for pages made by plain Pandoc; Quarto brings its own. Without it the page is complete, every panel shown.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Tabs: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ ; a hidden panel is still found by the browser's search.
  function show(tab, focus) {
    for (const other of all("[role=tab]", tab.parentElement)) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      if (chosen) panel.removeAttribute("hidden");
      else panel.setAttribute("hidden", "until-found");
    }
    if (focus) tab.focus();
  }

  for (const list of all("[role=tablist]")) {
    const tabs = all("[role=tab]", list);
    tabs.forEach((tab, at) => {
      const panel = document.getElementById(tab.getAttribute("aria-controls"));
      tab.addEventListener("click", () => show(tab));
      panel.addEventListener("beforematch", () => show(tab));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        show(tabs[(to + tabs.length) % tabs.length], true);
      });
    });
    if (tabs.length) show(tabs[0]);
  }

  // A link to something folded away or on another tab opens what hides it.
  function reveal() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
      if (node.getAttribute("role") === "tabpanel") show(document.getElementById(node.getAttribute("aria-labelledby")));
    }
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  // Contents: folded on narrow screens, always open beside the text; the section in view is marked.
  const contents = document.querySelector(".toc details");
  const wide = matchMedia("(min-width: 60rem)");
  const fold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
  const links = new Map(all(".toc a").map((link) => [link.getAttribute("href").slice(1), link]));
  const headings = all("main h2[id], main h3[id]").filter((heading) => links.has(heading.id));
  let waiting = false;
  function mark() {
    waiting = false;
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 90);
    const current = links.get((passed.pop() || headings[0] || {}).id);
    if (!current || current.hasAttribute("aria-current")) return;
    for (const link of links.values()) link.removeAttribute("aria-current");
    current.setAttribute("aria-current", "true");
    const list = document.querySelector(".toc");
    list.scrollTop = current.offsetTop - list.clientHeight / 2; // moves only where the list is longer than the window
  }
  addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(mark);
    waiting = true;
  }, { passive: true });
  mark();

  // A figure opens at full size, to scroll in; Escape or a click closes it.
  function enlarge(image) {
    const dialog = document.createElement("dialog");
    dialog.className = "lightbox";
    dialog.setAttribute("aria-label", "Figure at full size");
    const copy = image.cloneNode();
    copy.removeAttribute("width");
    copy.style.width = Math.max(image.naturalWidth / (image.hasAttribute("width") ? 2 : 1), innerWidth * 0.9) + "px";
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    dialog.append(close, copy);
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
  for (const image of all("main figure img")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoom";
    button.title = "Show at full size";
    const frame = document.createElement("div");
    frame.className = "figure-scroll";
    image.replaceWith(frame);
    frame.append(button);
    button.append(image);
    button.addEventListener("click", () => enlarge(image));
  }

  addEventListener("beforeprint", () => all("details").forEach((details) => { details.open = true; }));
})();
