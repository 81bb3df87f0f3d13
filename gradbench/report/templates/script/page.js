/* Filters, legend and theme; the start. */
const holder = document.getElementById("filters");
const NAMES = { machine_class: "machine", targets: "measured together" };
const distinct = {};

function values(key) {
  return (distinct[key] ??= [...new Set(data.panels.map((panel) => panel[key]))]);
}
function shownPanels() {
  return data.panels.filter((panel) => data.filters.every((key) => !state[key] || panel[key] === state[key]));
}
function choose(key, value) {
  state[key] = document.getElementById("f-" + key).value = value;
  state.page = 0;
  state.panels = PANELS;
}
function addFilter(key, options, initial, all) {
  const select = make("select", { id: "f-" + key, onchange: () => { choose(key, select.value); refresh(); } });
  if (all && options.length > 1) select.append(make("option", { value: "" }, "all"));
  for (const option of options) select.append(make("option", { value: option }, option || "unknown"));
  select.value = state[key] = options.length > 1 ? initial : options[0];
  holder.append(make("label", { for: select.id }, NAMES[key] || key, select));
}
function addFilters() {
  const some = (list, test) => { const found = list.filter((name) => data.measured.some((key) => test(key, name))); return found.length ? found : list.slice(0, 1); };
  const references = some(data.references, (key, name) => key.startsWith(name + " ")), targets = some(data.targets, (key, name) => key.endsWith(" " + name));
  addFilter("reference", references.length > 1 ? [BEST, ...references] : references, BEST);
  addFilter("target", targets, targets[0]);
  for (const key of data.filters) {
    const options = values(key);
    if (options.length < 2 && !["case", "sampler", "dtype"].includes(key)) continue;
    addFilter(key, options, key === "sampler" ? largest(key, options) : "", true);
  }
}
/* the option with the most cases, then the most cells */
function largest(key, options) {
  const cases = new Map(options.map((option) => [option, new Set()])), cells = new Map(options.map((option) => [option, 0]));
  for (const panel of data.panels) {
    cases.get(panel[key]).add(panel.case);
    cells.set(panel[key], cells.get(panel[key]) + panel.points.length);
  }
  const size = (option) => 1e6 * cases.get(option).size + cells.get(option);
  return options.reduce((a, b) => (size(b) > size(a) ? b : a), options[0]);
}
let showAll = null;
function addLegend() {
  const names = Object.keys(data.styles), show = (hidden) => {
    state.hidden = new Set(hidden);
    state.page = 0;
    names.forEach((name, i) => buttons[i].setAttribute("aria-pressed", String(!state.hidden.has(name))));
    refresh();
  };
  const toggled = (name) => (state.hidden.has(name) ? [...state.hidden].filter((other) => other !== name) : [...state.hidden, name]);
  const buttons = names.map((name) => make("button", { type: "button", "aria-pressed": "true", onclick: () => show(toggled(name)) }, mark(name), name));
  const every = [["show all", []], ["hide all", names]].map(([words, hidden]) => make("button", { type: "button", class: "all", onclick: () => show(hidden) }, words));
  document.getElementById("legend").append(...buttons, ...every);
  showAll = show;
}
/* a field of the coverage shows its cells in the table */
function follow(event) {
  const link = event.target.closest("a");
  if (!link) return;
  const field = link.closest("td"), estimator = field.parentElement.dataset.estimator;
  for (const key of data.filters) if (document.getElementById("f-" + key) && values(key).length > 1) choose(key, "");
  if (data.cases.length > 1) choose("case", data.cases[Number(field.dataset.case)]);
  showAll(Object.keys(data.styles).filter((name) => name !== estimator));
}
function addTheme() {
  const button = document.getElementById("theme"), say = () => { button.textContent = isDark() ? "Light page" : "Dark page"; };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    say();
    if (data) drawPanels();
  });
  system.addEventListener("change", () => { say(); if (data) drawPanels(); });
  say();
  button.hidden = false;
}
function refresh() {
  drawPanels();
  drawTable();
}
async function start() {
  addTheme();
  if (!holder) return;
  document.querySelectorAll("table[data-name]").forEach(sortable);
  data = await unpack(document.getElementById("data").textContent);
  state.panels = PANELS;
  addFilters();
  addLegend();
  document.getElementById("csv").addEventListener("click", () => saveCsv([data.columns, ...chosenLines().map((p) => data.columns.map((c) => p[c]))], "gradbench"));
  document.getElementById("before").addEventListener("click", () => turnPage(-1));
  document.getElementById("after").addEventListener("click", () => turnPage(1));
  document.querySelector(".coverage").addEventListener("click", follow);
  refresh();
}
start().catch((problem) => {
  console.error(problem);
  box.replaceChildren(make("p", { class: "notice" }, "This browser cannot read the data of the page: " + problem + ". A browser of 2024 or later can."));
});
