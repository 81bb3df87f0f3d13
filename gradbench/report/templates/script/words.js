/* A point in words and numbers. */
const finite = (value) => typeof value === "number" && Number.isFinite(value);
const short = (value, digits = 3) => (finite(value) ? String(Number(value.toPrecision(digits))) : value == null ? "" : String(value));
const brief = (value) => short(value);
const scientific = (value) => value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const power = (v) => (v >= 0.01 && v < 1e4 ? brief(v) : (v.toExponential()[0] === "1" ? "" : v.toExponential()[0] + "·") + "10<sup>" + Math.floor(Math.log10(v) + 1e-9) + "</sup>");
const duration = (v) => (v < 1e-3 ? brief(v * 1e6) + " µs" : v < 1 ? brief(v * 1e3) + " ms" : brief(v) + " s");

/* the reference of a point: the one chosen, or the first that is known of flow, sampler, expected */
const against = (p) => (state.reference !== BEST ? state.reference : data.references.find((name) => p.errors[name + " " + state.target]) || data.references[0]);
const reading = (p) => p.errors[against(p) + " " + state.target];
/* that of a figure, which has one for all of its points */
const figureReference = (panel) => (state.reference !== BEST ? state.reference : panel.best[state.target]);

function said(r) {
  if (r.mark === "floor") return "at the floor, below " + scientific(r.floor);
  if (r.mark === "exact") return "exact to the last bit";
  if (r.mark === "not finite") return "not finite";
  return scientific(r.shown) + (finite(r.least) && r.most > r.least ? " (" + scientific(r.least) + " to " + scientific(r.most) + ")" : "");
}
function error(p) {
  const r = reading(p);
  if (r) return said(r);
  return p.failed ? p.words : p.status === "skip" ? "skipped" : "not measured";
}
const errorName = (p) => "error against the " + against(p) + " gradient, " + state.target;
function memory(p) {
  if (finite(p.peak_bytes)) return short(p.peak_bytes / MIB, 4) + " MiB";
  return finite(p.predicted_peak_bytes) ? "predicted " + short(p.predicted_peak_bytes / MIB, 4) + " MiB" : "";
}
/* the row: the chosen error first, then everything else that was measured */
function facts(p) {
  const time = finite(p.time_s) ? duration(p.time_s) + (p.draws > 1 && p.time_s > 0 ? " a draw, " + duration(p.costs.time.mid) + " all" : "") : "";
  return [
    ["options", p.params],
    ["where", [p.case, p.sampler, p.steps == null ? "" : p.steps + " steps", p.dtype, p.device].filter(Boolean).join(", ")],
    [errorName(p), error(p)],
    ["time", time],
    ["peak memory", memory(p)],
    ["NFE forward + backward", p.nfe_forward == null && p.nfe_backward == null ? "" : short(p.nfe_forward) + " + " + short(p.nfe_backward)],
    ["VJPs", short(p.vjps)],
    ["bias, " + state.target, finite(p["bias_" + state.target]) ? short(p["bias_" + state.target]) + " ± " + short(p["std_error_" + state.target]) : ""],
    ["signal-to-noise ratio of one draw", short(p["snr_" + state.target])],
    ["x_0 drift", short(p.x0_drift)],
    ["rows", p.n_ok + " of " + p.n + " succeeded" + (p.status === "ok" ? "" : "; " + p.words)],
    ["reason", p.reason],
    ["cell", (p.cell_ids || []).join(" ")],
  ].filter((fact) => fact[1]);
}
const otherErrors = (p) => Object.entries(p.errors).filter(([key]) => key !== against(p) + " " + state.target);
