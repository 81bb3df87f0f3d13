#!/usr/bin/env bash
# What a machine with an NVIDIA card can say of gradbench: `make gpu`. Settings are variables of the environment:
#   PYTHON   the interpreter; its own torch is taken where it has one (python3)
#   WHEELS   a folder of wheels of what is missing, for a machine without a network (none)
#   BUDGET   of time for the rows; call again to go on (7m)
#   SELECT   the cells, as `gradbench run` takes them (--suite gpu; on a CPU its cells of sd-tiny in two steps)
#   OUT      where rows, report and figures go (runs/gpu)
#   DEVICE   cuda, or cpu to try the whole way without a card (cuda)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} wheels=${WHEELS:-} budget=${BUDGET:-7m} out=${OUT:-runs/gpu} device=${DEVICE:-cuda}
usual="--suite gpu"; [ "$device" != cpu ] || usual="--suite gpu -c sd-tiny --steps 2"
select=${SELECT:-$usual}
offline=(); [ -z "$wheels" ] || offline=(--no-index --find-links "$wheels")

if [ "$device" != cpu ] && ! nvidia-smi -L >/dev/null 2>&1; then
  echo "make gpu: nvidia-smi finds no NVIDIA card; DEVICE=cpu tries the way without one" >&2
  exit 2
fi
has() { "$python" -c "$1" 2>/dev/null; }
if ! has 'import sys; sys.exit(sys.prefix == sys.base_prefix)' && [ ! -x .venv-gpu/bin/python ]; then
  # the interpreter of a system: an environment beside it, which sees its torch
  "$python" -m venv $(has 'import torch' && echo --system-site-packages) .venv-gpu
fi
has 'import sys; sys.exit(sys.prefix == sys.base_prefix)' || python=.venv-gpu/bin/python
has 'import torch' || "$python" -m pip install --quiet "${offline[@]}" torch
has 'from importlib.metadata import version; version("diffusion-gradbench")' ||
  "$python" -m pip install --quiet "${offline[@]}" -e '.[train,test]'

tests=0 code=0
"$python" -m pytest tests/gpu -m gpu || tests=$?  # on a CPU all are skipped; rows of a card are worth having all the same
read -ra cells <<<"$select"
"$python" -m gradbench run "${cells[@]}" --device "$device" --budget "$budget" --out "$out" || code=$?
case $code in 0 | 3 | 5) ;; *) exit $code ;; esac  # cells that failed are rows, cells that are left are for the next call
"$python" -m gradbench env --json >"$out/environment.json"
[ ! -f "$out/rows.parquet" ] || "$python" -m gradbench figures "$out" --out "$out/figures"
"$python" -m gradbench status "$out"
echo "rows: $out/rows.parquet; report: $out/report.html; figures: $out/figures"
[ $tests = 0 ] || echo "make gpu: tests of the card failed, see above" >&2
exit $tests
