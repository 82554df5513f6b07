// Tabs, contents that follow the reader, figures that enlarge, light or dark, and printing. Without it the page is
// complete, every panel shown.
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

  // Contents: folded on narrow screens until asked for, always open beside the text; the section in view is marked.
  function follow(contents) {
    const wide = matchMedia("(min-width: 60rem)");
    const fold = () => { contents.open = wide.matches; };
    wide.addEventListener("change", fold);
    fold();
    addEventListener("click", (event) => {
      const within = contents.contains(event.target) && !event.target.closest("a");
      if (!wide.matches && !within) contents.open = false;
    });
    contents.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || wide.matches || !contents.open) return;
      contents.open = false;
      contents.querySelector("summary").focus();
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
      const list = document.querySelector(".side");
      list.scrollTop = current.offsetTop - list.clientHeight / 2; // moves only where the list is longer than the window
    }
    addEventListener("scroll", () => {
      if (!waiting) requestAnimationFrame(mark);
      waiting = true;
    }, { passive: true });
    mark();
  }
  for (const contents of all(".toc details")) follow(contents); // the summary has none

  // A formula that is wider than the window scrolls, by keyboard too.
  for (const formula of all("math[display=block]")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
  }

  // What a footnote says shows where its number is pointed at.
  for (const number of all(".footnote-ref")) {
    const note = document.getElementById(number.getAttribute("href").slice(1));
    if (note) number.title = note.textContent.replace("↩︎", "").trim();
  }

  // Light or dark: as the reader's system has it, until the button says otherwise, which the browser remembers.
  const root = document.documentElement, night = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.colours ? root.dataset.colours === "dark" : night.matches);
  const switcher = document.createElement("button");
  switcher.type = "button";
  switcher.className = "switcher";
  switcher.textContent = "Dark";
  const tell = () => switcher.setAttribute("aria-pressed", String(dark()));
  switcher.addEventListener("click", () => {
    root.dataset.colours = dark() ? "light" : "dark";
    try { localStorage.setItem("colours", root.dataset.colours); } catch { /* it holds for this visit */ }
    tell();
  });
  night.addEventListener("change", tell);
  tell();
  document.querySelector(".side").append(switcher);

  // A figure opens at full width, to scroll in; Escape or a click closes it, and the focus is where it was.
  function enlarge(image) {
    const dialog = document.createElement("dialog");
    dialog.className = "enlarged";
    const label = image.closest("figure").querySelector(".caption-label");
    dialog.setAttribute("aria-label", `${label ? label.textContent.replace(":", "") : "Figure"}, enlarged`);
    const copy = image.cloneNode();
    for (const size of ["width", "height"]) copy.removeAttribute(size);
    copy.style.width = Math.max(image.getAttribute("width") || image.naturalWidth, innerWidth * 0.9) + "px";
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
    button.title = "Enlarge";
    const frame = document.createElement("div");
    frame.className = "figure-scroll";
    image.replaceWith(frame);
    frame.append(button);
    button.append(image);
    button.addEventListener("click", () => enlarge(image));
  }

  // Paper shows what is folded, and the screen what it showed before.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("main details:not([open])");
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
})();
