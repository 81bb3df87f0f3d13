/* The table of all cells, a hundred lines at a time; and sorting and saving of every table. */
const LINES = 100;
const cellTable = document.getElementById("cells");
const COLUMNS = [
  ["estimator", (p) => p.estimator], ["case", (p) => p.case], ["sampler", (p) => p.sampler], ["steps", (p) => p.steps, brief], ["status", (p) => p.status],
  ["error", (p) => (reading(p) ? (reading(p).mark === "exact" ? 0 : reading(p).mark === "not finite" ? Infinity : reading(p).shown) : null), (v, p) => (reading(p) ? shortError(reading(p)) : "")],
  ["against", (p) => (reading(p) ? against(p) : "")],
  ["bias", (p) => p["bias_" + state.target], (v, p) => (v == null ? "" : short(v) + " ± " + short(p["std_error_" + state.target]))],
  ["time (s)", (p) => p.time_s, brief], ["peak (MiB)", (p) => (finite(p.peak_bytes) ? p.peak_bytes / MIB : null), brief], ["NFE fwd", (p) => p.nfe_forward, brief], ["NFE bwd", (p) => p.nfe_backward, brief],
  ["VJPs", (p) => p.vjps, brief], ["x_0 drift", (p) => p.x0_drift, brief], ["rows", (p) => p.n, (v, p) => (p.n_ok === p.n ? String(v) : p.n_ok + "/" + v)], ["reason", (p) => p.reason],
];
const shortError = (r) => (r.mark === "floor" ? "≤ " + scientific(r.floor) : r.mark === "exact" ? "exactly 0" : r.mark === "value" ? scientific(r.shown) : "not finite");

/* numbers by size, words by letter, missing values last either way */
function order(a, b, up) {
  const gone = (v) => (v == null || v === "" ? 1 : 0), number = (v) => typeof v === "number";
  if (gone(a) || gone(b)) return gone(a) - gone(b);
  return (up ? 1 : -1) * (number(a) && number(b) ? (a === b ? 0 : a - b) : String(a).localeCompare(String(b)));
}
function chosenLines() {
  const found = shownPanels().flatMap((panel) => panel.points.map((i) => data.points[i])).filter((p) => !state.hidden.has(p.estimator));
  const column = COLUMNS.find(([name]) => name === state.sort);
  if (!column) return found;
  return found.map((p) => [column[1](p), p]).sort((a, b) => order(a[0], b[0], state.up)).map((pair) => pair[1]);
}
function heading(label, sorted, up, press, right) {
  const arrow = make("span", { "aria-hidden": "true" }, sorted ? (up ? " ▲" : " ▼") : " ↕");
  return make("th", { scope: "col", class: right ? "n" : "", "aria-sort": sorted ? (up ? "ascending" : "descending") : "none" }, make("button", { type: "button", onclick: press }, label, arrow));
}
function drawTable() {
  const found = chosenLines(), used = COLUMNS.filter(([name, value]) => !["bias", "reason"].includes(name) || found.some((p) => value(p)));
  state.page = Math.max(0, Math.min(state.page, Math.ceil(found.length / LINES) - 1));
  const first = state.page * LINES, head = make("tr");
  used.forEach(([name, , format], place) => {
    const sorted = state.sort === name, label = name === "error" ? "error, " + state.reference + ", " + state.target : name;
    const press = () => { state.up = sorted ? !state.up : true; state.sort = name; state.page = 0; drawTable(); cellTable.tHead.querySelectorAll("button")[place].focus(); };
    head.append(heading(label, sorted, state.up, press, format));
  });
  head.append(make("th", { scope: "col" }, "again"));
  cellTable.tHead.replaceChildren(head);
  cellTable.tBodies[0].replaceChildren(...found.slice(first, first + LINES).map((p) => cellLine(p, used)));
  document.getElementById("shown").textContent = found.length.toLocaleString("en") + " of " + data.points.length.toLocaleString("en") + " cells chosen" + (found.length > LINES ? ", lines " + (first + 1) + " to " + Math.min(found.length, first + LINES) : "");
  document.getElementById("pager").hidden = found.length <= LINES;
  document.getElementById("before").disabled = state.page === 0;
  document.getElementById("after").disabled = first + LINES >= found.length;
}
function cellLine(p, used) {
  const row = make("tr");
  for (const [name, value, format] of used) {
    const cell = make("td", { class: format ? "n" : name });
    if (name === "estimator") cell.append(mark(p.estimator));
    if (name === "status") cell.append(p.letter + " ");
    cell.append(...(format ? [format(value(p), p)] : broken(value(p) ?? "")));
    row.append(cell);
  }
  row.append(make("td", {}, make("button", { type: "button", "aria-label": "Numbers and command of " + p.estimator + ", " + p.steps + " steps", onclick: () => openCell(p) }, "command")));
  return row;
}
function turnPage(by) {
  state.page += by;
  drawTable();
}

/* a table in the page: its headings become buttons, and a button saves it */
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], labels = heads.map((head) => head.textContent.trim());
  const value = (row, place) => {
    const cell = row.cells[place], given = cell.dataset.v ?? cell.textContent.trim();
    return given === "" || Number.isNaN(Number(given)) ? given : Number(given);
  };
  let sorted = -1, up = true;
  const show = () => table.tHead.rows[0].replaceChildren(...labels.map((label, place) => heading(label, place === sorted, up, () => press(place), heads[place].classList.contains("n"))));
  const press = (place) => {
    up = place === sorted ? !up : true;
    sorted = place;
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => order(value(a, place), value(b, place), up)));
    show();
    table.tHead.querySelectorAll("button")[place].focus();
  };
  show();
  const words = (row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/\s+/g, " "));
  const button = make("button", { type: "button", "aria-label": "Download CSV of " + table.dataset.name, onclick: () => saveCsv([labels, ...[...table.tBodies[0].rows].map(words)], "gradbench " + table.dataset.name) }, "Download CSV");
  table.parentElement.before(make("p", { class: "row" }, make("span"), button));
}
