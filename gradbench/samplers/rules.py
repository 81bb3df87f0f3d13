"""Rules by name, for samplers, continuous adjoints and their catalogues; no torch."""

from gradbench.samplers.base import Rule
from gradbench.samplers.multistep import AB2, TWO_M
from gradbench.samplers.runge_kutta import EULER, HEUN, MIDPOINT, RK4, RungeKutta

ONE_STEP: dict[str, RungeKutta] = {"euler": EULER, "midpoint": MIDPOINT, "heun": HEUN, "rk4": RK4}
RULES: dict[str, Rule] = {**ONE_STEP, "ab2": AB2, "2m": TWO_M}
