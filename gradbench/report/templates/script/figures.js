/* Figures as plotly reads them: [traces, layout], or null where there is nothing to draw. All numbers are Python's. */
const SYMBOL = { value: "", floor: "-open", exact: "-open-dot" };
const COSTS = {
  time: { title: "time of the gradient", caption: "error against time", unit: duration },
  nfe: { title: "network evaluations (NFE)", caption: "error against network evaluations", unit: power },
};
const LEVELS = { state_bytes: "one state", tape_bytes: "one-step tape" };

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
    text: failed.map((p) => (p.failed ? p.letter : "∞")), customdata: failed.map((p) => p.index), textfont: { size: 11, color: css("--ink") },
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
/* bars between the quartiles of spreads around their middles; none if none has any width */
function bars(estimator, middles, spreads) {
  const length = (end) => (end > 0 ? end : 0), above = spreads.map((s, i) => length(s.high - middles[i])), below = spreads.map((s, i) => length(Math.min(middles[i] - s.low, 0.99 * middles[i])));
  if (![...above, ...below].some((end) => end > 0)) return undefined;
  return { type: "data", symmetric: false, array: above, arrayminus: below, thickness: 1, width: 2, color: colour(estimator) };
}
function grouped(points) {
  const found = new Map();
  for (const p of points) found.set(p.estimator, [...(found.get(p.estimator) || []), p]);
  return Object.keys(data.styles).filter((estimator) => found.has(estimator)).map((estimator) => [estimator, found.get(estimator).sort((a, b) => a.steps - b.steps)]);
}
const ends = (spreads) => spreads.flatMap((s) => [s.low, s.high]);
function workPrecision(panel, points, kind) {
  const against = figureReference(panel), key = against + " " + state.target, figure = panel.figures[key];
  const error = (p) => p.errors[key], cost = (p) => p.costs && p.costs[kind], lost = (p) => error(p) && error(p).mark === "not finite";
  const drawn = points.filter((p) => error(p) && !lost(p) && cost(p)), failed = points.filter((p) => p.failed || lost(p));
  if (!drawn.length) return null;
  const x = bounds(drawn.map((p) => cost(p).mid).concat(ends(drawn.map(cost))));
  const y = bounds(drawn.map((p) => error(p).shown).concat(ends(drawn.map(error)), figure.near ? [figure.floor] : []));
  if (figure.near) y[0] -= 0.06 * (y[1] - y[0]);
  const low = y[0], front = new Set(figure.fronts[kind]), stairs = figure.fronts[kind].map((i) => data.points[i]).filter((p) => !state.hidden.has(p.estimator));
  const edges = edge(failed, (p) => cost(p) && cost(p).mid, x, y);
  const traces = [{ x: stairs.map((p) => cost(p).mid), y: stairs.map((p) => error(p).shown), mode: "lines", name: "Pareto front", hoverinfo: "skip", line: { shape: "hv", width: 9, color: css("--muted") }, opacity: 0.28 }];
  for (const [estimator, list] of grouped(drawn)) {
    const xs = list.map((p) => cost(p).mid), ys = list.map((p) => error(p).shown), one = line(estimator, list, xs, ys, list.map((p) => SYMBOL[error(p).mark]), front);
    one.error_x = bars(estimator, xs, list.map(cost));
    one.error_y = bars(estimator, ys, list.map(error));
    traces.push(one);
  }
  const band = { type: "rect", xref: "paper", x0: 0, x1: 1, y0: 10 ** (low - 30), y1: figure.floor, fillcolor: css("--muted"), opacity: 0.16, line: { width: 0 }, layer: "below" };
  const note = { xref: "paper", x: 1, y: Math.log10(figure.floor), xanchor: "right", yanchor: "top", showarrow: false, text: "floor of the reference " + figure.floor.toExponential(0), font: { size: 10, color: css("--muted") } };
  const title = "relative L2 error of the " + state.target + " gradient<br>against the " + against + " gradient";
  return [[...traces, edges], { xaxis: axis(COSTS[kind].title + (drawn.some((p) => p.draws > 1) ? ", all draws" : ""), x, COSTS[kind].unit), yaxis: axis(title, y), shapes: figure.near ? [band] : [], annotations: figure.near ? [note] : [] }];
}
function memoryOverSteps(panel, points) {
  const size = (p) => ({ mid: p.costs.memory.mid / MIB, low: p.costs.memory.low / MIB, high: p.costs.memory.high / MIB });
  const drawn = points.filter((p) => p.costs && p.costs.memory && p.steps != null), failed = points.filter((p) => p.failed);
  if (!drawn.length) return null;
  const levels = Object.entries(panel.levels).map(([name, bytes]) => [name, bytes / MIB]);
  const x = bounds(points.map((p) => p.steps)), y = bounds(drawn.map((p) => size(p).mid).concat(ends(drawn.map(size)), levels.map((level) => level[1])));
  const edges = edge(failed, (p) => p.steps, x, y), steps = [...new Set(points.map((p) => p.steps))].sort((a, b) => a - b), across = [10 ** x[0], 10 ** x[1]];
  const grey = levels.map(([name, value]) => ({ x: across, y: [value, value], name, mode: "lines", showlegend: false, hovertemplate: name + " %{y:.4g} MiB<extra></extra>", line: { color: css("--muted"), width: 1, dash: "dot" } }));
  const lines = grouped(drawn).map(([estimator, list]) => {
    const middles = list.map((p) => size(p).mid), one = line(estimator, list, list.map((p) => p.steps), middles, list.map(() => ""), new Set());
    return { ...one, error_y: bars(estimator, middles, list.map(size)) };
  });
  const notes = levels.map(([name, value]) => ({ x: x[0], y: Math.log10(value), xanchor: "left", yanchor: "top", showarrow: false, text: LEVELS[name], font: { size: 10, color: css("--muted") } }));
  return [[...grey, ...lines, edges], { xaxis: axis("steps N", x, power, steps.length < 12 ? steps.map((n) => [n, n]) : ticks(x, power)), yaxis: axis("peak memory (MiB)", y), annotations: notes }];
}
/* bias against noise: the spread of the estimate that a thousand network evaluations buy */
function biasNoise(panel, points) {
  const of = (p) => (p.splits || {})[state.target], drawn = points.filter(of);
  if (!drawn.length) return null;
  const x = bounds(drawn.map((p) => of(p).spread)), y = bounds(drawn.map((p) => of(p).size));
  const traces = grouped(drawn).map(([estimator, list]) => {
    const sizes = list.map((p) => of(p).size), one = line(estimator, list, list.map((p) => of(p).spread), sizes, list.map((p) => (of(p).hidden ? "-open" : "")), new Set());
    return { ...one, mode: "markers", error_y: bars(estimator, sizes, list.map(of)), least: Math.min(...list.map((p) => Math.hypot(of(p).size, of(p).spread))) };
  });
  /* ten can be told apart: those with the smallest error; a click in the legend shows another */
  const limit = traces.map((t) => t.least).sort((a, b) => a - b)[9];
  traces.forEach((t) => { if (t.least > limit) t.visible = "legendonly"; delete t.least; });
  return [traces, { xaxis: axis("relative spread at " + data.work + " evaluations", x), yaxis: axis("bias of the " + state.target + " gradient, relative<br>to the expected gradient (± 2 errors)", y) }];
}
