/* Panels on the page: a figure is drawn when it comes into view, read by mouse, finger or keyboard, and saved. */
const PANELS = 12;
const box = document.getElementById("panels"), tip = document.getElementById("tip"), ring = document.getElementById("ring"), spoken = document.getElementById("spoken");
/* the plotting library is at the end of the page, so that the data are unpacked while it is read */
const loaded = new Promise((resolve) => (document.readyState === "loading" ? addEventListener("DOMContentLoaded", resolve) : resolve()));
let turn = 0, waiting = 0, last = Promise.resolve(), looked = null, titles = null, rest = [];

/* one job after the other; those of an older choice are skipped, and no figure is thrown away half drawn */
function later(job) {
  const mine = turn;
  waiting += 1;
  box.setAttribute("aria-busy", "true");
  last = last.then(async () => {
    try {
      if (mine === turn) await job();
      if (mine === turn) await new Promise((resume) => setTimeout(resume));
    } catch (problem) {
      console.error(problem);
    }
    waiting -= 1;
    if (waiting) return;
    box.setAttribute("aria-busy", "false");
    if (!performance.getEntriesByName("ready").length) performance.mark("ready");
    (window.requestIdleCallback || setTimeout)(() => { if (!waiting) rest.splice(0).forEach(reach); });
  });
}
const view = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) reach(target);
  }
  if (looked) looked();
}, { rootMargin: "300px" });

/* draws a figure once: when it comes into view, those of the first panel once nothing else is to be done */
function reach(node) {
  view.unobserve(node);
  const draw = node.draw;
  node.draw = null;
  if (draw) later(draw);
}
function drawPanels() {
  turn += 1;
  rest = [];
  hideTip();
  later(layPanels);
}
async function layPanels() {
  await loaded;
  titles ??= nameTitles();
  view.disconnect();
  for (const old of box.querySelectorAll(".js-plotly-plot")) Plotly.purge(old);
  const all = shownPanels(), now = all.slice(0, state.panels), figures = [];
  box.replaceChildren(...now.map((panel) => article(panel, figures)));
  if (!all.length) box.append(make("p", { class: "none" }, "No cell matches these filters."));
  if (now.length < all.length) {
    const more = Math.min(PANELS, all.length - now.length), button = make("button", { type: "button", onclick: () => { state.panels += PANELS; drawPanels(); } }, "Show " + more + " more of " + (all.length - now.length) + " panels");
    box.append(make("p", { class: "none" }, button));
  }
  if (!figures.length) return;
  const seen = new Promise((resolve) => { looked = resolve; });
  for (const node of figures) view.observe(node);
  await seen;
  rest = [...box.querySelectorAll(".panel:first-child .plot")];
}
/* what tells a panel from all others: its targets only if nothing else does */
function nameTitles() {
  const title = (panel, keys) => keys.map((key) => (key === "sampler" ? panel.sampler_label : panel[key])).filter(Boolean).join(" · ");
  const keys = data.filters.filter((key) => ["case", "sampler"].includes(key) || values(key).length > 1), brief = keys.filter((key) => key !== "targets"), count = new Map();
  for (const panel of data.panels) count.set(title(panel, brief), (count.get(title(panel, brief)) || 0) + 1);
  return new Map(data.panels.map((panel) => [panel, title(panel, count.get(title(panel, brief)) > 1 ? keys : brief)]));
}
function article(panel, figures) {
  const points = panel.points.map((i) => data.points[i]).filter((p) => !state.hidden.has(p.estimator));
  const title = titles.get(panel);
  const kinds = [...Object.keys(COSTS).map((key) => [COSTS[key].caption, () => workPrecision(panel, points, key)]), ["memory against steps", () => memoryOverSteps(panel, points)]];
  if (points.some((p) => p.splits)) kinds.push(["bias against noise", () => biasNoise(panel, points)]);
  const plots = make("div", { class: "plots" });
  for (const [caption, build] of kinds) {
    const node = make("div", { class: "plot", tabindex: "0", role: "application", "aria-roledescription": "figure", "aria-label": caption + ", " + title + ". Arrow keys go from point to point, Enter shows one; the table below has all numbers." });
    const tools = make("span", { class: "tools" });
    for (const format of ["png", "svg", "csv"]) tools.append(make("button", { type: "button", "aria-label": "Download " + format.toUpperCase() + " of " + caption + ", " + title, onclick: () => saveFigure(build, caption, title, format, points) }, format.toUpperCase()));
    node.draw = () => draw(node, build());
    plots.append(make("figure", {}, make("figcaption", {}, caption, tools), node));
    figures.push(node);
  }
  return make("article", { class: "panel", "data-case": panel.case, "data-sampler": panel.sampler_label }, make("h3", {}, title), plots);
}
function base() {
  return { showlegend: false, margin: { l: 8, r: 8, t: 8, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", font: { color: css("--ink"), size: 12, family: "system-ui, sans-serif" }, hoverlabel: { bgcolor: css("--card"), bordercolor: css("--muted"), font: { color: css("--ink") } } };
}
async function draw(node, figure) {
  if (!figure) {
    node.replaceChildren(make("p", { class: "none" }, "Nothing was measured here against the " + (state.reference === BEST ? "exact" : state.reference) + " gradient for " + state.target + "."));
    node.removeAttribute("tabindex");
    return;
  }
  await Plotly.newPlot(node, figure[0], { ...base(), ...figure[1] }, { displayModeBar: false, responsive: true });
  node.on("plotly_hover", (event) => { const point = event.points[0]; if (point.customdata != null) showTip(node, point.customdata, point.x, point.y); });
  node.on("plotly_unhover", hideTip);
  node.on("plotly_click", (event) => { if (event.points[0].customdata != null) openCell(data.points[event.points[0].customdata]); });
  const spots = figure[0].flatMap((trace) => (trace.customdata || []).map((index, i) => ({ index, x: trace.x[i], y: trace.y[i] })));
  let at = -1;
  node.addEventListener("blur", hideTip);
  node.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && spots.length) {
      event.preventDefault();
      at = at < 0 ? (step > 0 ? 0 : spots.length - 1) : (at + step + spots.length) % spots.length;
      const p = data.points[spots[at].index];
      showTip(node, spots[at].index, spots[at].x, spots[at].y);
      spoken.textContent = [p.estimator, p.steps + " steps", error(p), finite(p.time_s) ? duration(p.time_s) : "", memory(p)].filter(Boolean).join(", ");
    } else if (event.key === "Enter" && at >= 0) openCell(data.points[spots[at].index]);
    else if (event.key === "Escape") hideTip();
  });
}

/* the row and its command beside a point, as text, and a ring around it */
function showTip(node, index, at, height) {
  const p = data.points[index], frame = node.getBoundingClientRect(), { xaxis, yaxis } = node._fullLayout;
  const x = frame.left + xaxis._offset + xaxis.d2p(at), y = frame.top + yaxis._offset + yaxis.d2p(height);
  const list = make("dl");
  for (const [name, value] of facts(p)) list.append(make("dt", {}, name), make("dd", {}, String(value).slice(0, 300)));
  tip.replaceChildren(make("b", {}, mark(p.estimator), p.estimator), list, make("code", {}, p.command));
  tip.hidden = false;
  ring.hidden = false;
  ring.style.left = x + "px";
  ring.style.top = y + "px";
  const size = tip.getBoundingClientRect(), wide = document.documentElement.clientWidth;
  tip.style.left = Math.max(4, x + 14 + size.width < wide ? x + 14 : x - size.width - 14) + "px";
  tip.style.top = Math.max(4, Math.min(y - size.height / 2, innerHeight - size.height - 4)) + "px";
}
function hideTip() {
  tip.hidden = ring.hidden = true;
}
function openCell(p) {
  const dialog = document.getElementById("cell"), list = make("dl", { class: "facts" });
  const more = otherErrors(p).map(([key, r]) => ["error against the " + key.replace(" ", " gradient, "), said(r)]);
  for (const [name, value] of [...facts(p), ...more]) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));
  const copy = make("button", { type: "button", onclick: () => navigator.clipboard.writeText(p.command).then(() => { copy.textContent = "Copied"; }) }, "Copy command");
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(make("h3", { id: "cell-title" }, mark(p.estimator), p.estimator), list, make("pre", {}, make("code", {}, p.command)), make("p", { class: "row" }, copy, close));
  hideTip();
  dialog.showModal();
}

/* a picture with its legend and title, in the colours of the page; or its numbers */
async function saveFigure(build, caption, title, format, points) {
  const name = "gradbench " + caption + " " + title, figure = build();
  if (format === "csv") {
    saveCsv([data.columns, ...points.map((p) => data.columns.map((c) => p[c]))], name);
    return;
  }
  if (!figure) return;
  const [traces, layout] = figure, shown = traces.map((trace) => ({ ...trace, hoverinfo: "skip" }));
  const whole = { ...base(), ...layout, showlegend: true, paper_bgcolor: css("--card"), title: { text: plain(caption) + "<br><sub>" + plain(title) + "</sub>", x: 0.02, xanchor: "left" }, margin: { l: 20, r: 20, t: 60, b: 20 } };
  const href = await Plotly.toImage({ data: shown, layout: whole }, { format, width: 960, height: 560, scale: 2 });
  save(href, name + "." + format);
}
