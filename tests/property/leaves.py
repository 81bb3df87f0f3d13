"""What the property tests compare: gradients by leaf, how far rounding moves them, and on how many examples."""

from hypothesis import settings

from gradbench.testing import strategies

LEAVES = {
    "gaussian": ("condition", "log_std"),
    "mixture": ("condition", "means", "log_std", "logits"),
    "product-mixture": ("condition", "means", "log_std", "logits"),
    "dirac": ("condition",),
}


def examples(count):
    """Settings for `count` examples under the profile `thorough`, that of `make test-all`, and else a third of them."""
    thorough = settings.get_current_profile_name() == "thorough"
    return strategies.examples(count if thorough else max(2, count // 3))


def named(law, grads):
    """Gradients by leaf: x_T and those of LEAVES."""
    leaves = (grads["condition"], *grads.get("parameters", ()))
    return {"x_T": grads["x_T"], **dict(zip(LEAVES[law.name], leaves, strict=True))}


def run(law, span, x_T, sampler="ddim", steps=8, objective="quadratic+sine"):
    """The gradients by leaf: of the exact flow where the sampler is `flow`, else of the chain."""
    if sampler == "flow":
        return named(law, law.problem(span, x_T, objective=objective).flow_gradient())
    return named(law, law.problem(span, x_T, sampler, steps, objective).sampler_gradient())


def slack(law, span, x_T, *args, size=1e-12):
    """What rounding may change in each gradient of `run`.

    It is the change when every input is moved by 4,500 roundings, which a chain of some hundred operations does not
    reach, and those of the gradient itself. args: as of `run`.
    """
    moved = {k: law.arrays[k] + size * (1 + abs(law.arrays[k])) for k in LEAVES[law.name]}
    there = run(law.but(**moved), span, x_T + size * (span.made.sigma(span.t_max) + x_T.abs()), *args)
    return {k: (there[k] - g).norm() + size * (1 + g.norm()) for k, g in run(law, span, x_T, *args).items()}


def agree(got, expected, tolerance):
    """Every gradient within its tolerance, one number or one per leaf."""
    for k, g in expected.items():
        error, allowed = (got[k] - g).norm(), tolerance[k] if isinstance(tolerance, dict) else tolerance
        assert error <= allowed, f"{k}: {error:.1e} apart, allowed {allowed:.1e}\n{got[k]}\n{g}"
