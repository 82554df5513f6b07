// Tables that sort and filter, figures to keep as files.
// Without it the page is complete, in the order of the document.
(() => {
  "use strict";
  const FILTERED = 8; // tables of more rows get a box to search them
  const SECONDS = { h: 3600, min: 60, s: 1 };

  function make(tag, className, text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    if (tag === "button") node.type = "button";
    return node;
  }

  // The number that a cell begins with: 1,230, −0.5, 3.20 × 10⁻⁷, <0.1 %, 2 of "2 of 3", 750 of 12 min 30 s; or NaN.
  function numberOf(text) {
    const plain = text.replaceAll("−", "-").replace(/,(?=\d{3})/g, "");
    const times = [...plain.matchAll(/([\d.]+)\s(h|min|s)(?!\w)/g)];
    if (times.length) return times.reduce((sum, [, amount, unit]) => sum + amount * SECONDS[unit], 0);
    if (/^[<>+-]*∞/.test(plain)) return plain.includes("-") ? -Infinity : Infinity;
    const found = plain.match(/^[<>+±]*(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?:\s×\s10(-?\d+))?/);
    return found ? found[1] * 10 ** (found[2] || 0) : NaN;
  }

  // The rows by one column: by size where most cells are numbers, else by the alphabet. What has no place in that order
  // (a dash; a word among numbers) stays last either way.
  function sorted(rows, column, direction) {
    if (direction === "none") return rows;
    const texts = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
    const numbers = new Map(rows.map((row) => [row, numberOf(texts.get(row))]));
    const filled = rows.filter((row) => !["", "–"].includes(texts.get(row)));
    const counted = filled.filter((row) => !Number.isNaN(numbers.get(row)));
    const numeric = counted.length > filled.length / 2;
    const compare = numeric
      ? (one, other) => numbers.get(one) - numbers.get(other)
      : (one, other) => texts.get(one).localeCompare(texts.get(other), "en", { numeric: true });
    const sign = direction === "ascending" ? 1 : -1;
    const placed = (numeric ? counted : filled).sort((one, other) => sign * compare(one, other));
    return [...placed, ...rows.filter((row) => !placed.includes(row))];
  }

  // A button in each header: ascending, descending, as it was. https://www.w3.org/WAI/ARIA/apg/patterns/table/
  function sortable(table) {
    const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells];
    if (rows.length < 3) return;
    heads.forEach((head, column) => {
      const button = make("button", "sort");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")] || "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next !== "none") head.setAttribute("aria-sort", next);
        table.tBodies[0].append(...sorted(rows, column, next));
      });
    });
  }

  // A box above a long table: rows that hold all of its words stay, and how many they are is said.
  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length <= FILTERED) return;
    const box = make("div", "table-filter"), label = make("label", "", "Filter rows "), input = make("input", "");
    const count = make("span", "");
    const plain = (text) => text.toLowerCase().replaceAll("−", "-");
    input.type = "search";
    count.setAttribute("role", "status");
    input.addEventListener("input", () => {
      const words = plain(input.value).split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => plain(row.textContent).includes(word));
      count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
    });
    label.append(input);
    box.append(label, count);
    (table.closest(".table-scroll") || table).before(box);
  }

  for (const table of document.querySelectorAll("main table")) {
    if (!table.tHead || !table.tBodies.length) continue;
    sortable(table);
    filterable(table);
  }

  function keep(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  // The picture as it is in the page, or an SVG drawn at twice its size.
  async function blobOf(image, kind) {
    const source = await (await fetch(image.src)).blob();
    if (source.type.startsWith(kind)) return source;
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  // Beside the numbers of a figure, the figure itself.
  for (const image of document.querySelectorAll("main figure img")) {
    const figure = image.closest("[id^='fig-']");
    const line = figure && figure.nextElementSibling;
    if (!line || !line.matches(".source")) continue;
    const name = figure.id.slice("fig-".length);
    const words = make("span", "downloads", " · The figure as ");
    const kinds = image.src.startsWith("data:image/png") ? ["PNG"] : ["SVG", "PNG"];
    kinds.forEach((kind, at) => {
      const button = make("button", "", kind);
      const type = { SVG: "image/svg", PNG: "image/png" }[kind];
      button.addEventListener("click", async () => keep(await blobOf(image, type), `${name}.${kind.toLowerCase()}`));
      words.append(at ? " or " : "", button);
    });
    (line.querySelector("p") || line).append(words);
  }
})();
