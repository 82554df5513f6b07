// The explorer: the choices of the form, the rows that they leave, the chart and the table of these rows.

const data = JSON.parse(document.getElementById("data").textContent);
const NONE = "none";
const TICKS = 9; // of an axis of numbers, where each level has its own
const MISSING = "–";
const at = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.hash.slice(1));
const WIDE = 50; // times that the largest number is the smallest, from which on a scale is a logarithm's
const FILTERS = ["network", "role"]; // axes of whose levels a reader chooses some

function fill(select, options, chosen) {
  // options: [value, words] in order; a choice that is still there stays.
  const now = options.some(([value]) => value === chosen) ? chosen : options[0]?.[0];
  select.replaceChildren(...options.map(([value, words]) => new Option(words, value, false, value === now)));
}

function told() {
  return data.outcomes.find((one) => one.name === at("outcome").value);
}

function frame() {
  return data.studies[at("study").value][told().table];
}

// Labels and numbers of each row of the outcome.
function every() {
  const { axes, labels } = frame();
  return told().rows[at("study").value].map(([number, n, of, mean, low, high]) => ({
    labels: Object.fromEntries(axes.map((axis, place) => [axis, labels[number][place]])),
    n, of, mean, low, high,
  }));
}

function levels(rows, axis) {
  return [...new Set(rows.map((row) => row.labels[axis]))];
}

// The levels of a filter that are chosen; all of an axis that the rows do not have.
function kept(axis) {
  return [...at(axis).querySelectorAll("input:checked")].map((box) => box.value);
}

// The rows of the chosen levels; a row without a level of the axis along the chart has no place there.
function chosen() {
  const there = FILTERS.filter((axis) => frame().axes.includes(axis)).map((axis) => [axis, kept(axis)]);
  const rows = every().filter((row) => there.every(([axis, levels]) => levels.includes(row.labels[axis])));
  const placed = rows.filter((row) => row.labels[at("along").value] !== MISSING);
  return { rows: placed, left: rows.length - placed.length };
}

// ------------------------------------------------------------------------------------------------------ the form

function offerStudies() {
  const there = Object.keys(data.studies).filter((study) => data.outcomes.some((one) => study in one.rows));
  fill(at("study"), there.map((study) => [study, study]), wanted.get("study"));
}

function offerOutcomes(before) {
  const there = data.outcomes.filter((one) => at("study").value in one.rows);
  fill(at("outcome"), there.map((one) => [one.name, one.words]), before);
}

function offerAxes(along, colour) {
  const rows = every();
  const varying = frame().axes.filter((axis) => levels(rows, axis).length > 1);
  const all = varying.length ? varying : ["network"];
  const named = all.map((axis) => [axis, data.axes[axis]]);
  fill(at("along"), named, along ?? all.find((axis) => axis !== "network"));
  const others = [[NONE, "nothing"], ...named];
  const first = all.find((axis) => axis !== at("along").value) ?? NONE;
  fill(at("colour"), others, colour ?? (all.includes("network") && at("along").value !== "network" ? "network" : first));
}

// Boxes for the levels of a filter. Cells that others only start from, or that start from others, are not chosen at first.
function offerLevels(axis, shown) {
  const there = frame().axes.includes(axis) ? levels(every(), axis) : [];
  const first = axis === "role" && there.includes("grid") ? ["grid"] : there;
  const some = shown?.some((level) => there.includes(level)) ? shown : first;
  const boxes = there.map((level) => {
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", value: level, checked: some.includes(level) });
    box.addEventListener("change", show);
    const label = document.createElement("label");
    label.append(box, ` ${level}`);
    return label;
  });
  at(axis).replaceChildren(at(axis).firstElementChild, ...boxes);
  at(axis).hidden = there.length < 2;
}

// ------------------------------------------------------------------------------------------------------ the chart

// The colours of the page: light-dark() is resolved where it is used, by an element that has it as its colour.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function settings() {
  const [ink, quiet, line] = ["--ink", "--quiet", "--line"].map(colour);
  const narrow = at("chart").clientWidth < 560;
  return {
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: line },
    axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: quiet, tickColor: quiet,
      labelFontSize: 12, titleFontSize: 13, titleFontWeight: 600, labelLimit: narrow ? 110 : 240 },
    legend: { labelColor: ink, titleColor: ink, orient: "top", direction: "horizontal", columns: narrow ? 2 : 5,
      labelFontSize: 12, titleFontSize: 13, labelLimit: 200, symbolSize: 80 },
  };
}

const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const written = (value) => (value === null ? MISSING : digits.format(value).replace("-", "−"));

function spread(row, unit) {
  const mean = `${written(row.mean)}${unit && ` ${unit}`}`;
  return row.low === null ? mean : `${mean} [${written(row.low)}, ${written(row.high)}]`;
}

// What a spec calls $along, $value and $colour, in words.
function worded(part, words) {
  if (Array.isArray(part)) return part.map((one) => worded(one, words));
  if (part === null || typeof part !== "object") return words[part] ?? part;
  return Object.fromEntries(Object.entries(part).map(([key, one]) => [key, worded(one, words)]));
}

// A text in lines of about so many letters.
function lines(text, letters) {
  return text.split(" ").reduce((all, word) => {
    const last = all.at(-1);
    return last !== undefined && last.length + word.length < letters ? [...all.slice(0, -1), `${last} ${word}`] : [...all, word];
  }, []);
}

// An axis of numbers: a tick for each where they are few, a logarithm where they span much.
function scaleOver(x, numbers) {
  const span = Math.max(...numbers) / Math.min(...numbers);
  if (Math.min(...numbers) > 0 && span >= WIDE) x.scale = { type: "log", padding: 12 };
  if (numbers.length <= TICKS) x.axis = { values: numbers, format: "~r" };
}

function drawn(rows) {
  const [along, by] = [at("along").value, at("colour").value];
  const { words, unit } = told();
  const numeric = rows.length > 0 && rows.every((row) => Number.isFinite(Number(row.labels[along])));
  const values = rows.filter((row) => row.mean !== null).map((row) => ({
    along: numeric ? Number(row.labels[along]) : row.labels[along],
    colour: by === NONE ? "" : row.labels[by],
    series: Object.entries(row.labels).filter(([axis]) => axis !== along).map(([, level]) => level).join("\n"),
    label: Object.values(row.labels).filter((level) => level !== MISSING).join(" · "),
    text: spread(row, unit),
    n: row.n, value: row.mean, low: row.low, high: row.high,
  }));
  const letters = numeric ? 40 : at("chart").clientWidth / 9;
  const spec = worded(data.charts[numeric ? "curve" : "dots"], {
    $along: data.axes[along], $value: lines(unit ? `${words} (${unit})` : words, letters), $colour: data.axes[by] ?? null,
  });
  spec.data = { values };
  spec.autosize = { type: "fit-x", contains: "padding" };
  spec.width = at("chart").clientWidth;
  const distinct = (field) => [...new Set(values.map((row) => row[field]))];
  spec.height = numeric ? 320 : distinct("along").length * Math.max(26, 13 * distinct("colour").length + 8);
  for (const { encoding } of spec.layer) {
    if (numeric) scaleOver(encoding.x, distinct("along"));
    // The same levels for both, so that one legend shows colours and shapes.
    for (const channel of ["color", "shape"]) if (encoding[channel]) encoding[channel].scale.domain = distinct("colour");
  }
  for (const layer of by === NONE ? spec.layer : []) {
    for (const channel of ["color", "shape"]) if (layer.encoding[channel]) layer.encoding[channel].legend = null;
  }
  return spec;
}

// ------------------------------------------------------------------------------------------------------ all of it

function tabulate(rows) {
  const axes = frame().axes.filter((axis) => axis === "network" || levels(rows, axis).length > 1);
  const { unit } = told();
  const mean = unit ? `mean, ${unit}` : "mean";
  const head = [...axes.map((axis) => data.axes[axis]), "n", "of", mean, "low", "high"];
  at("head").replaceChildren(...head.map((name, place) => cell("th", name, place >= axes.length)));
  for (const th of at("head").children) th.scope = "col";
  at("rows").replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    const numbers = [row.n, row.of, ...[row.mean, row.low, row.high].map(written)];
    line.append(...axes.map((axis) => cell("td", row.labels[axis])), ...numbers.map((one) => cell("td", one, true)));
    return line;
  }));
}

function cell(kind, text, isNumber = false) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (isNumber) made.className = "number";
  return made;
}

function remember() {
  const link = new URLSearchParams();
  for (const id of ["study", "outcome", "along", "colour"]) link.set(id, at(id).value);
  for (const axis of FILTERS) link.set(axis, kept(axis).join(","));
  history.replaceState(null, "", `#${link}`);
}

async function show() {
  const { rows, left } = chosen();
  const { words } = told();
  const blank = rows.filter((row) => row.mean === null).length;
  at("title").textContent = words[0].toUpperCase() + words.slice(1);
  at("count").textContent = `${rows.length} row${rows.length === 1 ? "" : "s"}` +
    (blank ? `, ${blank} without a mean, which the chart leaves out` : "") + "." +
    (left ? ` ${left} more have no ${data.axes[at("along").value]}.` : "");
  tabulate(rows);
  remember();
  const options = {
    ast: true, renderer: "svg", actions: false, config: settings(),
    tooltip: { theme: dark.matches ? "dark" : "light" },
  };
  await vegaEmbed(at("chart"), drawn(rows), options);
  document.documentElement.dataset.drawn = location.hash;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const offerFilters = (shown) => FILTERS.forEach((axis) => offerLevels(axis, shown(axis)));
dark.addEventListener("change", show);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width && at("study").value) show();
  width = innerWidth;
});
at("study").addEventListener("change", () => {
  offerOutcomes(at("outcome").value);
  offerAxes();
  offerFilters(() => undefined);
  show();
});
at("outcome").addEventListener("change", () => {
  offerAxes(at("along").value, at("colour").value);
  offerFilters(kept);
  show();
});
for (const id of ["along", "colour"]) at(id).addEventListener("change", show);
at("choices").addEventListener("submit", (event) => event.preventDefault());
offerStudies();
if (at("study").value) {
  offerOutcomes(wanted.get("outcome"));
  offerAxes(wanted.get("along"), wanted.get("colour"));
  offerFilters((axis) => wanted.get(axis)?.split(","));
  show();
} else {
  at("count").textContent = "No summary table has a row.";
}
