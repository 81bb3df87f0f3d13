"use strict";
(() => {
  const holder = document.getElementById("filters");
  if (!holder) return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const SYMBOL = { value: "", floor: "-open", exact: "-open-dot" };
  const TARGETS = ["x_T", "condition", "parameters"], REFERENCES = ["flow", "sampler", "expected"], BEST = "best known";
  const FAILED = (p) => p.status !== "ok" && p.status !== "skip";
  const MIB = 1048576;
  const NAMES = { machine_class: "machine", targets: "measured together" };
  const COSTS = {
    time: { column: "total_time", title: "time of the gradient, all draws", caption: "error against time", unit: (v) => duration(v) },
    nfe: { column: "total_nfe", title: "network evaluations (NFE), all draws", caption: "error against network evaluations", unit: (v) => power(v) },
  };
  const state = { hidden: new Set(), sort: null, up: true };
  let drawing = 0, drawn = Promise.resolve();

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
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
    return svg;
  }
  const finite = (value) => typeof value === "number" && Number.isFinite(value);
  const short = (value, digits = 3) => (finite(value) ? String(Number(value.toPrecision(digits))) : value == null ? "" : String(value));
  const brief = (value) => short(value);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (estimator) => data.styles[estimator][dark.matches ? "dark" : "light"];
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const wrapped = (text) => (String(text).match(/.{1,72}(\s|$)|\S{1,72}/g) || []).map((s) => plain(s.trim())).join("<br>");
  /* the reference that a point is held against: the one chosen, or the first that is known of flow, sampler, expected */
  const against = (p) => (state.reference !== BEST ? state.reference : REFERENCES.find((name) => p.errors[name + " " + state.target]) || REFERENCES[0]);
  const reading = (p) => p.errors[against(p) + " " + state.target];

  /* filters */
  function values(key) {
    return [...new Set(data.panels.map((panel) => panel[key]))];
  }
  function addFilter(key, options, initial, all) {
    const select = make("select", { id: "f-" + key, onchange: () => { state[key] = select.value; refresh(); } });
    if (all && options.length > 1) select.append(make("option", { value: "" }, "all"));
    for (const option of options) select.append(make("option", { value: option }, option || "unknown"));
    select.value = state[key] = options.length > 1 ? initial : options[0];
    holder.append(make("label", { for: select.id }, NAMES[key] || key, select));
  }
  function addFilters() {
    const known = new Set(data.points.flatMap((p) => Object.keys(p.errors)));
    const some = (list, test) => { const found = list.filter((name) => [...known].some((key) => test(key, name))); return found.length ? found : list.slice(0, 1); };
    const references = some(REFERENCES, (key, name) => key.startsWith(name + " ")), targets = some(TARGETS, (key, name) => key.endsWith(" " + name));
    addFilter("reference", references.length > 1 ? [BEST, ...references] : references, BEST);
    addFilter("target", targets, targets[0]);
    for (const key of data.filters) {
      const options = values(key);
      if (options.length < 2 && !["case", "sampler", "dtype"].includes(key)) continue;
      const size = (option) => {
        const found = data.panels.filter((p) => p[key] === option);
        return 1e6 * new Set(found.map((p) => p.case)).size + found.reduce((sum, p) => sum + p.points.length, 0);
      };
      const largest = options.reduce((a, b) => (size(b) > size(a) ? b : a), options[0]);
      addFilter(key, options, key === "sampler" ? largest : "", true);
    }
  }
  function shownPanels() {
    return data.panels.filter((panel) => data.filters.every((key) => !state[key] || panel[key] === state[key]));
  }

  /* what a point says */
  function error(p) {
    const r = reading(p);
    if (!r) return FAILED(p) ? p.words : p.status === "skip" ? "skipped" : "not measured";
    if (r.mark === "floor") return "at the floor, below " + r.floor.toExponential(1);
    return r.mark === "exact" ? "exact to the last bit" : r.text;
  }
  function facts(p) {
    return [
      ["options", p.params],
      ["where", [p.case, p.sampler, p.steps == null ? "" : p.steps + " steps", p.dtype, p.device].filter(Boolean).join(", ")],
      ["error against the " + against(p) + " gradient, " + state.target, error(p) + (reading(p) && reading(p).mark === "value" ? " (" + short(reading(p).shown, 6) + ")" : "")],
      ["time", finite(p.time_s) ? short(p.time_s, 4) + " s" : ""],
      ["peak memory", finite(p.peak_bytes) ? short(p.peak_bytes / MIB, 4) + " MiB" : finite(p.predicted_peak_bytes) ? "predicted " + short(p.predicted_peak_bytes / MIB, 4) + " MiB" : ""],
      ["NFE forward + backward", p.nfe == null ? "" : short(p.nfe_forward) + " + " + short(p.nfe_backward)],
      ["VJPs", short(p.vjps)],
      ["bias, " + state.target, finite(p["bias_" + state.target]) ? short(p["bias_" + state.target]) + " ± " + short(p["std_error_" + state.target]) : ""],
      ["signal-to-noise ratio of one draw", short(p["snr_" + state.target])],
      ["x_0 drift", short(p.x0_drift)],
      ["rows", p.n_ok + " of " + p.n + " ended well" + (p.status === "ok" ? "" : "; " + p.words)],
      ["reason", p.reason],
      ["cell", p.cell_ids.join(" ")],
    ].filter((fact) => fact[1] !== "");
  }
  function hover(p) {
    const lines = facts(p).map(([name, value]) => plain(name) + ": " + wrapped(String(value).slice(0, 300)));
    return "<b>" + plain(p.estimator) + "</b><br>" + lines.join("<br>") + "<br><br>" + wrapped(p.command);
  }
  function openCell(p) {
    const dialog = document.getElementById("cell"), list = make("dl", { class: "facts" });
    for (const [name, value] of facts(p)) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));
    const copy = make("button", { type: "button", onclick: () => navigator.clipboard.writeText(p.command).then(() => { copy.textContent = "Copied"; }) }, "Copy command");
    const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
    dialog.replaceChildren(make("h3", { id: "cell-title" }, mark(p.estimator), p.estimator), list, make("pre", {}, make("code", {}, p.command)), make("p", { class: "row" }, copy, close));
    dialog.showModal();
  }

  /* figures */
  /* ticks at 1, 2 and 5 on a short axis, at 1 and 3 on a longer one, at powers of ten on a long one */
  function ticks([low, high], unit) {
    const span = high - low, every = Math.max(1, Math.ceil(span / 7)), heads = span < 1.6 ? [1, 2, 5] : span < 3.2 ? [1, 3] : [1], found = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      if (power % every === 0) found.push(...heads.map((head) => Number(head + "e" + power)));
    }
    return found.filter((v) => Math.log10(v) >= low && Math.log10(v) <= high).map((v) => [v, unit(v)]);
  }
  const power = (v) => (v >= 0.01 && v < 1e4 ? brief(v) : (v.toExponential()[0] === "1" ? "" : v.toExponential()[0] + "·") + "10<sup>" + Math.floor(Math.log10(v) + 1e-9) + "</sup>");
  const duration = (v) => (v < 1e-3 ? brief(v * 1e6) + " µs" : v < 1 ? brief(v * 1e3) + " ms" : brief(v) + " s");
  function axis(title, range, unit = power, places = ticks(range, unit)) {
    const tickvals = places.map((place) => place[0]), ticktext = places.map((place) => place[1]);
    return { type: "log", title: { text: title, standoff: 8 }, range, tickvals, ticktext, automargin: true, gridcolor: css("--line"), linecolor: css("--muted"), zeroline: false };
  }
  function bounds(numbers) {
    const logs = numbers.filter((v) => finite(v) && v > 0).map(Math.log10);
    const low = Math.min(...logs), high = Math.max(...logs), pad = Math.max(0.12, 0.06 * (high - low));
    return [low - pad, high + pad];
  }
  /* boxed letters along the top edge; what has no place on the x axis goes to its right end */
  function edge(failed, place, x, y) {
    const width = x[1] - x[0], height = y[1] - y[0], taken = {};
    if (failed.length) { x[1] += 0.08 * width; y[1] += 0.13 * height; }
    const spots = failed.map((p) => {
      const at = place(p), lx = finite(at) && at > 0 ? Math.log10(at) : x[1] - 0.04 * width, slot = Math.round((18 * (lx - x[0])) / width);
      taken[slot] = (taken[slot] || 0) + 1;
      return [10 ** lx, 10 ** (y[1] - (0.075 * taken[slot] - 0.015) * height)];
    });
    return {
      x: spots.map((s) => s[0]), y: spots.map((s) => s[1]), mode: "markers+text", cliponaxis: false, hoverinfo: "text", hovertext: failed.map(hover),
      text: failed.map((p) => (FAILED(p) ? p.letter : "∞")), customdata: failed.map((p) => data.points.indexOf(p)), textfont: { size: 11, color: failed.map((p) => colour(p.estimator)) },
      marker: { symbol: "square", size: 17, color: css("--card"), line: { width: 2, color: failed.map((p) => colour(p.estimator)) } },
    };
  }
  function line(estimator, points, x, y, symbols, front) {
    const c = colour(estimator), s = data.styles[estimator], ringed = points.map((p) => front.has(p));
    return {
      x, y, name: plain(estimator), mode: "lines+markers", hoverinfo: "text", text: points.map(hover), customdata: points.map((p) => data.points.indexOf(p)),
      line: { color: c, width: 1.6, dash: s.dash },
      marker: { symbol: symbols.map((suffix) => s.marker + suffix), size: ringed.map((r) => (r ? 12 : 9)), color: c, opacity: 1, line: { width: ringed.map((r, i) => (symbols[i] ? 2 : r ? 2 : 0)), color: ringed.map((r, i) => (symbols[i] || !r ? c : css("--ink"))) } },
    };
  }
  function grouped(points) {
    return Object.keys(data.styles).map((estimator) => [estimator, points.filter((p) => p.estimator === estimator).sort((a, b) => a.steps - b.steps)]).filter(([, list]) => list.length);
  }
  function workPrecision(panel, points, key) {
    const cost = COSTS[key], drawn = points.filter((p) => reading(p) && finite(reading(p).shown) && finite(p[cost.column]) && p[cost.column] > 0);
    const failed = points.filter((p) => FAILED(p) || (reading(p) && reading(p).mark === "not finite"));
    if (!drawn.length) return null;
    const marked = drawn.filter((p) => reading(p).mark !== "value"), lowest = Math.min(...drawn.map((p) => reading(p).shown));
    const floor = Math.max(...(marked.length ? marked : drawn).map((p) => reading(p).floor));
    const height = (p) => (reading(p).mark === "value" ? reading(p).shown : floor);
    const x = bounds(drawn.map((p) => p[cost.column])), y = bounds(drawn.map(height).concat(marked.length || lowest < 100 * floor ? [floor] : []));
    const low = marked.length ? y[0] - 0.06 * (y[1] - y[0]) : y[0];
    y[0] = low;
    const front = new Set((panel.fronts[against(drawn[0]) + " " + state.target + " " + key] || []).map((i) => data.points[i]));
    const steps = drawn.filter((p) => front.has(p)).sort((a, b) => a[cost.column] - b[cost.column]);
    const edges = edge(failed, (p) => p[cost.column], x, y);
    const traces = [{ x: steps.map((p) => p[cost.column]), y: steps.map(height), mode: "lines", hoverinfo: "skip", line: { shape: "hv", width: 9, color: css("--muted") }, opacity: 0.28 }];
    for (const [estimator, list] of grouped(drawn)) traces.push(line(estimator, list, list.map((p) => p[cost.column]), list.map(height), list.map((p) => SYMBOL[reading(p).mark]), front));
    const band = { type: "rect", xref: "paper", x0: 0, x1: 1, y0: 10 ** (low - 30), y1: floor, fillcolor: css("--muted"), opacity: 0.16, line: { width: 0 }, layer: "below" };
    const note = { xref: "paper", x: 1, y: Math.log10(floor), xanchor: "right", yanchor: "top", showarrow: false, text: "floor of the reference " + floor.toExponential(0), font: { size: 10, color: css("--muted") } };
    const visible = Math.log10(floor) > y[0];
    return [[...traces, edges], { xaxis: axis(cost.title, x, cost.unit), yaxis: axis("relative L2 error of the " + state.target + " gradient<br>against the " + against(drawn[0]) + " gradient", y), shapes: visible ? [band] : [], annotations: visible ? [note] : [] }];
  }
  function memory(panel, points) {
    const drawn = points.filter((p) => finite(p.peak_bytes) && p.peak_bytes > 0 && p.status !== "skip" && p.n_ok), failed = points.filter(FAILED);
    if (!drawn.length) return null;
    const parts = {};
    for (const column of ["state_bytes", "tape_bytes"]) {
      for (const [, list] of grouped(drawn.filter((p) => finite(p[column]) && p[column] > 0))) {
        const series = { x: list.map((p) => p.steps), y: list.map((p) => p[column] / MIB), name: column };
        const same = column + JSON.stringify([series.y[0], series.y.at(-1)]);
        if (!parts[same] || parts[same].x.length < series.x.length) parts[same] = series;
      }
    }
    const grey = Object.values(parts).map((part) => ({ ...part, mode: "lines", hovertemplate: part.name + " %{y:.4g} MiB<extra></extra>", line: { color: css("--muted"), width: 1, dash: "dot" } }));
    const x = bounds(points.map((p) => p.steps)), y = bounds(drawn.map((p) => p.peak_bytes / MIB).concat(grey.flatMap((part) => part.y)));
    const edges = edge(failed, (p) => p.steps, x, y), steps = [...new Set(points.map((p) => p.steps))];
    const lines = grouped(drawn).map(([estimator, list]) => line(estimator, list, list.map((p) => p.steps), list.map((p) => p.peak_bytes / MIB), list.map(() => ""), new Set()));
    const notes = grey.map((part) => ({ x: Math.log10(part.x[0]), y: Math.log10(part.y[0]), xanchor: "left", yanchor: "top", showarrow: false, text: { state_bytes: "one state", tape_bytes: "one-step tape" }[part.name], font: { size: 10, color: css("--muted") } }));
    return [[...grey, ...lines, edges], { xaxis: axis("steps N", x, power, steps.map((n) => [n, n])), yaxis: axis("peak memory (MiB)", y), annotations: notes }];
  }
  /* bias against noise: the spread of the estimate that a thousand network evaluations buy */
  function biasNoise(panel, points) {
    const of = (p, name) => p[name + "_" + state.target], work = 1000;
    const drawn = points.filter((p) => finite(of(p, "snr")) && of(p, "snr") > 0 && finite(of(p, "bias")) && p.nfe > 0);
    if (!drawn.length) return null;
    const noise = (p) => Math.sqrt(p.nfe / work) / of(p, "snr"), seen = (p) => Math.abs(of(p, "bias")) > 2 * of(p, "std_error");
    const height = (p) => Math.max(seen(p) ? Math.abs(of(p, "bias")) : 2 * of(p, "std_error"), 1e-12);
    const x = bounds(drawn.map(noise)), y = bounds(drawn.map(height));
    const traces = grouped(drawn).map(([estimator, list]) => {
      const one = line(estimator, list, list.map(noise), list.map(height), list.map((p) => (seen(p) ? "" : "-open")), new Set());
      const high = list.map((p) => (seen(p) ? 2 * of(p, "std_error") : 0)), low = list.map((p) => (seen(p) ? Math.min(2 * of(p, "std_error"), 0.9 * height(p)) : 0));
      return { ...one, mode: "markers", error_y: { type: "data", array: high, arrayminus: low, symmetric: false, thickness: 1, width: 3, color: colour(estimator) } };
    });
    const title = "relative spread at " + work + " evaluations";
    return [traces, { xaxis: axis(title, x), yaxis: axis("bias of the " + state.target + " gradient, relative<br>to the expected gradient (± 2 errors)", y) }];
  }
  function draw(node, figure) {
    if (!figure) {
      node.replaceChildren(make("p", { class: "none" }, "Nothing was measured here against the " + (state.reference === BEST ? "exact" : state.reference) + " gradient for " + state.target + "."));
      return null;
    }
    const [traces, layout] = figure;
    const base = { showlegend: false, margin: { l: 8, r: 8, t: 8, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", modebar: { bgcolor: "rgba(0,0,0,0)" }, font: { color: css("--ink"), size: 12, family: "system-ui, sans-serif" } };
    const hoverlabel = { bgcolor: css("--card"), bordercolor: css("--muted"), align: "left", font: { color: css("--ink"), size: 12 } };
    const done = Plotly.newPlot(node, traces, { ...base, hoverlabel, ...layout }, { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] });
    node.on("plotly_click", (event) => { const index = event.points[0].customdata; if (index != null) openCell(data.points[index]); });
    return done;
  }
  /* a figure is never thrown away half drawn: a new choice waits for the figure at hand, then starts over */
  function drawPanels() {
    const turn = ++drawing, start = () => drawTurn(turn);
    document.getElementById("panels").setAttribute("aria-busy", "true");
    drawn = drawn.then(start, start);
  }
  async function drawTurn(turn) {
    if (turn !== drawing) return;
    const box = document.getElementById("panels"), jobs = [];
    for (const old of box.querySelectorAll(".js-plotly-plot")) Plotly.purge(old);
    box.replaceChildren();
    for (const panel of shownPanels()) {
      const points = panel.points.map((i) => data.points[i]).filter((p) => !state.hidden.has(p.estimator));
      const title = data.filters.filter((key) => ["case", "sampler"].includes(key) || values(key).length > 1).map((key) => (key === "sampler" ? panel.sampler_label : panel[key])).filter(Boolean).join(" · ");
      const plots = make("div", { class: "plots" });
      const kinds = [...Object.keys(COSTS).map((key) => [COSTS[key].caption, () => workPrecision(panel, points, key)]), ["memory against steps", () => memory(panel, points)]];
      if (points.some((p) => TARGETS.some((target) => finite(p["snr_" + target])))) kinds.push(["bias against noise", () => biasNoise(panel, points)]);
      for (const [caption, build] of kinds) {
        const node = make("div", { class: "plot", role: "img", "aria-label": caption + ", " + title + "; the table below holds the numbers" });
        plots.append(make("figure", {}, make("figcaption", {}, caption), node));
        jobs.push(() => draw(node, build()));
      }
      const random = data.random.includes(panel.case) ? [make("span", { class: "chip s-oom" }, "random weights")] : [];
      box.append(make("article", { class: "panel", "data-case": panel.case, "data-sampler": panel.sampler_label }, make("h3", {}, title + " ", ...random), plots));
    }
    if (!jobs.length) box.append(make("p", { class: "none" }, "No cell matches these filters."));
    for (const job of jobs) {
      await job();
      await new Promise((resume) => setTimeout(resume));
      if (turn !== drawing) return;
    }
    box.setAttribute("aria-busy", "false");
  }

  /* table */
  const COLUMNS = [
    ["case", (p) => p.case], ["sampler", (p) => p.sampler], ["steps", (p) => p.steps, brief], ["estimator", (p) => p.estimator], ["status", (p) => p.status],
    ["error", (p) => (reading(p) ? (reading(p).mark === "exact" ? 0 : reading(p).mark === "not finite" ? Infinity : reading(p).shown) : null), (v, p) => (reading(p) ? (reading(p).mark === "floor" ? "≤ " + reading(p).floor.toExponential(1) : reading(p).text) : "")],
    ["against", (p) => (reading(p) ? against(p) : "")],
    ["bias", (p) => p["bias_" + state.target], (v, p) => (v == null ? "" : short(v) + " ± " + short(p["std_error_" + state.target]))],
    ["time (s)", (p) => p.time_s, brief], ["peak (MiB)", (p) => (finite(p.peak_bytes) ? p.peak_bytes / MIB : null), brief], ["NFE fwd", (p) => p.nfe_forward, brief], ["NFE bwd", (p) => p.nfe_backward, brief],
    ["VJPs", (p) => p.vjps, brief], ["x_0 drift", (p) => p.x0_drift, brief], ["reason", (p) => p.reason],
  ];
  function lines() {
    const found = shownPanels().flatMap((panel) => panel.points.map((i) => data.points[i])).filter((p) => !state.hidden.has(p.estimator));
    const column = COLUMNS.find(([name]) => name === state.sort);
    if (!column) return found;
    const rank = (v) => (v == null || v === "" ? 1 : 0);
    const order = (a, b) => rank(a) - rank(b) || (state.up ? 1 : -1) * (finite(a) || finite(b) ? a - b : String(a).localeCompare(String(b)));
    return found.sort((p, q) => order(column[1](p), column[1](q)));
  }
  function drawTable() {
    const found = lines(), used = COLUMNS.filter(([name, value]) => !["bias", "reason"].includes(name) || found.some((p) => value(p)));
    const head = make("tr");
    for (const [name, , format] of used) {
      const sorted = state.sort === name, label = name === "error" ? "error, " + state.reference + ", " + state.target : name;
      const button = make("button", { type: "button", onclick: () => { state.up = sorted ? !state.up : true; state.sort = name; drawTable(); } }, label + (sorted ? (state.up ? " ▲" : " ▼") : ""));
      head.append(make("th", { scope: "col", class: format ? "n" : "", "aria-sort": sorted ? (state.up ? "ascending" : "descending") : "none" }, button));
    }
    head.append(make("th", { scope: "col" }, "again"));
    const body = found.map((p) => {
      const row = make("tr");
      for (const [name, value, format] of used) {
        const cell = make("td", { class: format ? "n" : name });
        if (name === "estimator") cell.append(mark(p.estimator));
        if (name === "status") cell.append(p.letter + " ");
        cell.append(format ? format(value(p), p) : String(value(p) ?? ""));
        row.append(cell);
      }
      row.append(make("td", {}, make("button", { type: "button", "aria-label": "Numbers and command of " + p.estimator + ", " + p.steps + " steps", onclick: () => openCell(p) }, "command")));
      return row;
    });
    const table = document.getElementById("cells");
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...body);
    document.getElementById("shown").textContent = found.length + " of " + data.points.length + " cells shown";
  }
  function csv() {
    const quoted = (v) => (/[",\n\r]/.test(v) ? '"' + v.replace(/"/g, '""') + '"' : v);
    const text = [data.columns, ...lines().map((p) => data.columns.map((c) => p[c]))].map((row) => row.map((v) => quoted(v == null ? "" : String(v))).join(",")).join("\r\n");
    const link = make("a", { href: URL.createObjectURL(new Blob([text + "\r\n"], { type: "text/csv" })), download: "gradbench.csv" });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function addLegend() {
    const names = Object.keys(data.styles), show = (hidden) => {
      state.hidden = new Set(hidden);
      names.forEach((name, i) => buttons[i].setAttribute("aria-pressed", String(!state.hidden.has(name))));
      refresh();
    };
    const toggled = (name) => (state.hidden.has(name) ? [...state.hidden].filter((other) => other !== name) : [...state.hidden, name]);
    const buttons = names.map((name) => make("button", { type: "button", "aria-pressed": "true", onclick: () => show(toggled(name)) }, mark(name), name));
    const every = [["show all", []], ["hide all", names]].map(([words, hidden]) => make("button", { type: "button", class: "all", onclick: () => show(hidden) }, words));
    document.getElementById("legend").append(...buttons, ...every);
  }
  function refresh() {
    drawPanels();
    drawTable();
  }
  addFilters();
  addLegend();
  document.getElementById("csv").addEventListener("click", csv);
  dark.addEventListener("change", drawPanels);
  refresh();
})();
