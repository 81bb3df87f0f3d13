/* Figures as plotly reads them: [traces, layout], or null where there is nothing to draw. */
const SYMBOL = { value: "", floor: "-open", exact: "-open-dot" };
const COSTS = {
  time: { column: "total_time", title: "time of the gradient", caption: "error against time", unit: duration },
  nfe: { column: "total_nfe", title: "network evaluations (NFE)", caption: "error against network evaluations", unit: power },
};

/* ticks at 1, 2 and 5 on a short axis, at 1 and 3 on a longer one, at powers of ten on a long one */
function ticks([low, high], unit) {
  const span = high - low, every = Math.max(1, Math.ceil(span / 7)), heads = span < 1.6 ? [1, 2, 5] : span < 3.2 ? [1, 3] : [1], found = [];
  for (let exponent = Math.floor(low); exponent <= high; exponent += 1) {
    if (exponent % every === 0) found.push(...heads.map((head) => Number(head + "e" + exponent)));
  }
  return found.filter((v) => Math.log10(v) >= low && Math.log10(v) <= high).map((v) => [v, unit(v)]);
}
function axis(title, range, unit = power, places = ticks(range, unit)) {
  const tickvals = places.map((place) => place[0]), ticktext = places.map((place) => place[1]);
  return { type: "log", title: { text: title, standoff: 8 }, range, tickvals, ticktext, automargin: true, gridcolor: css("--line"), linecolor: css("--muted"), zeroline: false };
}
function bounds(numbers) {
  const logs = numbers.filter((v) => finite(v) && v > 0).map(Math.log10);
  const low = logs.reduce((a, b) => Math.min(a, b), Infinity), high = logs.reduce((a, b) => Math.max(a, b), -Infinity);
  const pad = Math.max(0.12, 0.06 * (high - low));
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
    x: spots.map((s) => s[0]), y: spots.map((s) => s[1]), mode: "markers+text", cliponaxis: false, hoverinfo: "none", showlegend: false,
    text: failed.map((p) => (FAILED(p) ? p.letter : "∞")), customdata: failed.map((p) => p.index), textfont: { size: 11, color: css("--ink") },
    marker: { symbol: "square", size: 17, color: css("--card"), line: { width: 2, color: failed.map((p) => colour(p.estimator)) } },
  };
}
function line(estimator, points, x, y, symbols, front) {
  const c = colour(estimator), s = data.styles[estimator], inside = s.fill === "full" ? "" : "-dot", ringed = points.map((p) => front.has(p.index));
  return {
    x, y, name: plain(estimator), mode: "lines+markers", hoverinfo: "none", customdata: points.map((p) => p.index),
    line: { color: c, width: 1.6, dash: s.pattern.map((length) => length + "px").join(",") || "solid" },
    marker: { symbol: symbols.map((suffix) => s.marker + (suffix || inside)), size: ringed.map((r) => (r ? 12 : 9)), color: c, opacity: 1, line: { width: ringed.map((r, i) => (symbols[i] || r ? 2 : 0)), color: ringed.map((r, i) => (symbols[i] || !r ? c : css("--ink"))) } },
  };
}
/* bars from low to high around values; none where no point has a spread */
function bars(estimator, points, values, spread) {
  const found = points.map(spread), above = found.map((s, i) => (s && finite(s.high) ? Math.max(0, s.high - values[i]) : 0));
  if (!above.some((v, i) => v > 0 || (found[i] && found[i].low < values[i]))) return undefined;
  const below = found.map((s, i) => (s && finite(s.low) ? Math.min(Math.max(0, values[i] - s.low), 0.99 * values[i]) : 0));
  return { type: "data", symmetric: false, array: above, arrayminus: below, thickness: 1, width: 2, color: colour(estimator) };
}
function grouped(points) {
  const found = new Map();
  for (const p of points) found.set(p.estimator, [...(found.get(p.estimator) || []), p]);
  return Object.keys(data.styles).filter((estimator) => found.has(estimator)).map((estimator) => [estimator, found.get(estimator).sort((a, b) => a.steps - b.steps)]);
}
const draws = (p) => p.total_nfe > 1.001 * p.nfe;
function workPrecision(panel, points, key) {
  const cost = COSTS[key], drawn = points.filter((p) => reading(p) && finite(reading(p).shown) && finite(p[cost.column]) && p[cost.column] > 0);
  const failed = points.filter((p) => FAILED(p) || (reading(p) && reading(p).mark === "not finite"));
  if (!drawn.length) return null;
  const marked = drawn.filter((p) => reading(p).mark !== "value"), lowest = drawn.reduce((least, p) => Math.min(least, reading(p).shown), Infinity);
  const floor = (marked.length ? marked : drawn).reduce((most, p) => Math.max(most, reading(p).floor), 0);
  const height = (p) => (reading(p).mark === "value" ? reading(p).shown : floor);
  const spread = (p) => (reading(p).mark === "value" ? reading(p) : null), times = (p) => (key === "time" ? p.total_spread : null);
  const ends = (found) => found.flatMap((s) => (s ? [s.low, s.high] : []));
  const x = bounds(drawn.map((p) => p[cost.column]).concat(ends(drawn.map(times))));
  const y = bounds(drawn.map(height).concat(ends(drawn.map(spread)), marked.length || lowest < 100 * floor ? [floor] : []));
  if (marked.length) y[0] -= 0.06 * (y[1] - y[0]);
  const low = y[0], visible = Math.log10(floor) > low;
  const front = new Set(panel.fronts[against(drawn[0]) + " " + state.target + " " + key] || []);
  const steps = drawn.filter((p) => front.has(p.index)).sort((a, b) => a[cost.column] - b[cost.column]);
  const edges = edge(failed, (p) => p[cost.column], x, y);
  const traces = [{ x: steps.map((p) => p[cost.column]), y: steps.map(height), mode: "lines", name: "Pareto front", hoverinfo: "skip", line: { shape: "hv", width: 9, color: css("--muted") }, opacity: 0.28 }];
  for (const [estimator, list] of grouped(drawn)) {
    const xs = list.map((p) => p[cost.column]), ys = list.map(height), one = line(estimator, list, xs, ys, list.map((p) => SYMBOL[reading(p).mark]), front);
    one.error_y = bars(estimator, list, ys, spread);
    one.error_x = bars(estimator, list, xs, times);
    traces.push(one);
  }
  const band = { type: "rect", xref: "paper", x0: 0, x1: 1, y0: 10 ** (low - 30), y1: floor, fillcolor: css("--muted"), opacity: 0.16, line: { width: 0 }, layer: "below" };
  const note = { xref: "paper", x: 1, y: Math.log10(floor), xanchor: "right", yanchor: "top", showarrow: false, text: "floor of the reference " + floor.toExponential(0), font: { size: 10, color: css("--muted") } };
  const title = "relative L2 error of the " + state.target + " gradient<br>against the " + against(drawn[0]) + " gradient";
  return [[...traces, edges], { xaxis: axis(cost.title + (drawn.some(draws) ? ", all draws" : ""), x, cost.unit), yaxis: axis(title, y), shapes: visible ? [band] : [], annotations: visible ? [note] : [] }];
}
function memoryOverSteps(panel, points) {
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
  const grey = Object.values(parts).map((part) => ({ ...part, mode: "lines", showlegend: false, hovertemplate: part.name + " %{y:.4g} MiB<extra></extra>", line: { color: css("--muted"), width: 1, dash: "dot" } }));
  const x = bounds(points.map((p) => p.steps)), y = bounds(drawn.map((p) => p.peak_bytes / MIB).concat(grey.flatMap((part) => part.y)));
  const edges = edge(failed, (p) => p.steps, x, y), steps = [...new Set(points.map((p) => p.steps))].sort((a, b) => a - b);
  const lines = grouped(drawn).map(([estimator, list]) => line(estimator, list, list.map((p) => p.steps), list.map((p) => p.peak_bytes / MIB), list.map(() => ""), new Set()));
  const notes = grey.map((part) => ({ x: Math.log10(part.x[0]), y: Math.log10(part.y[0]), xanchor: "left", yanchor: "top", showarrow: false, text: { state_bytes: "one state", tape_bytes: "one-step tape" }[part.name], font: { size: 10, color: css("--muted") } }));
  return [[...grey, ...lines, edges], { xaxis: axis("steps N", x, power, steps.length < 12 ? steps.map((n) => [n, n]) : ticks(x, power)), yaxis: axis("peak memory (MiB)", y), annotations: notes }];
}
/* bias against noise: the spread of the estimate that a thousand network evaluations buy */
function biasNoise(panel, points) {
  const of = (p) => (p.splits || {})[state.target], drawn = points.filter(of);
  if (!drawn.length) return null;
  const x = bounds(drawn.map((p) => of(p).spread)), y = bounds(drawn.map((p) => of(p).size));
  const traces = grouped(drawn).map(([estimator, list]) => {
    const sizes = list.map((p) => of(p).size), one = line(estimator, list, list.map((p) => of(p).spread), sizes, list.map((p) => (of(p).hidden ? "-open" : "")), new Set());
    return { ...one, mode: "markers", error_y: bars(estimator, list, sizes, of) };
  });
  return [traces, { xaxis: axis("relative spread at 1000 evaluations", x), yaxis: axis("bias of the " + state.target + " gradient, relative<br>to the expected gradient (± 2 errors)", y) }];
}
