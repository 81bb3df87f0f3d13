/* What the page knows: the packed columns as records, and small helpers that every part uses. */
const BEST = "best known";
const MIB = 1048576;
const state = { hidden: new Set(), sort: null, up: true, page: 0 };
let data = null;

async function unpack(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const found = JSON.parse(await new Response(stream).text());
  const measured = Object.keys(found.points.columns).filter((path) => path.startsWith("errors/")).map((path) => path.split("/")[1]);
  return { ...found, measured: [...new Set(measured)], points: records(found.points) };
}
/* {n, columns: {"errors/flow x_T/mark": [...]}} as n records that read the columns on demand */
function records({ n, columns }) {
  const tree = {}, shape = {};
  for (const [path, column] of Object.entries(columns)) {
    const keys = path.split("/"), last = keys.pop();
    let place = tree;
    for (const key of keys) place = place[key] ??= {};
    place[last] = column.words ? (i) => column.words[column.of[i]] : (i) => column[i] ?? undefined;
  }
  const read = (branch, i) => {
    if (typeof branch === "function") return branch(i);
    const found = Object.entries(branch).map(([key, child]) => [key, read(child, i)]).filter((pair) => pair[1] !== undefined);
    return found.length ? Object.fromEntries(found) : undefined;
  };
  const { errors: readings = {}, ...rest } = tree;
  for (const [key, branch] of Object.entries(rest)) Object.defineProperty(shape, key, { get() { return read(branch, this.index); } });
  Object.defineProperty(shape, "errors", { get() { return this.known ??= shown(this, read(readings, this.index) || {}); } });
  return Array.from({ length: n }, (_, index) => Object.assign(Object.create(shape), { index, known: null }));
}
/* what is shown of an error: itself, or the floor if it lies below */
function shown(p, errors) {
  for (const [key, r] of Object.entries(errors)) r.shown = r.mark === "value" ? p[key.replace(" ", "_error_")] : r.mark === "not finite" ? null : r.floor;
  return errors;
}

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
/* a label that may break after its brackets and commas */
function broken(label) {
  return String(label).split(/(?<=[[,])/).flatMap((part, place) => (place ? [document.createElement("wbr"), part] : [part]));
}
function mark(estimator) {
  const s = data.styles[estimator], space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), use = document.createElementNS(space, "use");
  svg.setAttribute("class", "mark");
  svg.setAttribute("viewBox", "-8 -8 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.style.setProperty("--light", s.light);
  svg.style.setProperty("--dark", s.dark);
  for (const [key, value] of Object.entries({ href: "#m-" + s.marker, x: -8, y: -8, width: 16, height: 16 })) use.setAttribute(key, value);
  svg.append(use);
  if (s.fill !== "full") {
    const dot = document.createElementNS(space, "circle");
    dot.setAttribute("r", 2);
    svg.append(dot);
  }
  return svg;
}

/* the page is dark if its reader chose so, else if the system is */
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
const colour = (estimator) => data.styles[estimator][isDark() ? "dark" : "light"];
const probe = document.body.appendChild(make("i", { hidden: "" }));
function css(name) {
  probe.style.color = "var(" + name + ")";
  return getComputedStyle(probe).color;
}

function save(href, name) {
  make("a", { href, download: name.replace(/[^\w.=,+-]+/g, "_").slice(0, 120) }).click();
}
function saveCsv(lines, name) {
  const quoted = (v) => (/[",\n\r]/.test(v) ? '"' + v.replace(/"/g, '""') + '"' : v);
  const text = lines.map((line) => line.map((v) => quoted(v == null ? "" : String(v))).join(",")).join("\r\n");
  const href = URL.createObjectURL(new Blob([text + "\r\n"], { type: "text/csv" }));
  save(href, name + ".csv");
  URL.revokeObjectURL(href);
}
