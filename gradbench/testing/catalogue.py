"""Conformance checks by name, as plain data; torch is imported only when one is loaded.

A check is a function of a `Subject` that returns what it measured as text, or raises `Failed` or `Skipped`.
"""

from gradbench.entry import Catalogue, Entry

CHECKS = Catalogue(
    "check",
    Entry("serves", "every sampler that it does not refuse gets an estimate", "gradbench.testing.refusals:serves"),
    Entry(
        "answer",
        "gradients, x_0 and objective have the shapes and meaning of theirs",
        "gradbench.testing.answer:answer",
    ),
    Entry(
        "exact",
        "declared exact: float64 backprop of the sampler to 1e-10 on every distribution",
        "gradbench.testing.accuracy:exact",
    ),
    Entry(
        "order",
        "declared order p: it tends to the flow gradient with p - 0.3 or more",
        "gradbench.testing.accuracy:order",
    ),
    Entry(
        "unbiased",
        "its draws have the expected gradient as their mean, to 5 errors",
        "gradbench.testing.accuracy:unbiased",
    ),
    Entry("deterministic", "the same problem gives the same bits", "gradbench.testing.repeat:deterministic"),
    Entry("seeds", "the problem's seed is what decides its draws", "gradbench.testing.repeat:seeds"),
    Entry("unmutated", "the problem and the process are left as they were", "gradbench.testing.harmless:unmutated"),
    Entry(
        "targets", "every subset of the targets has its gradients, and no others", "gradbench.testing.answer:targets"
    ),
    Entry("batch", "a permuted batch has the permuted gradient in x_T", "gradbench.testing.answer:batch"),
    Entry("dtypes", "float32 is float64 within rounding, each in its own dtype", "gradbench.testing.dtypes:dtypes"),
    Entry(
        "memory",
        "declared memory: live bytes grow in the steps no faster than constant, log, sqrt or linear",
        "gradbench.testing.costs:memory",
    ),
    Entry("counts", "evaluations are those that the denoiser counted", "gradbench.testing.costs:counts"),
    Entry("reason", "a refusal is one line, from traits alone", "gradbench.testing.refusals:reason"),
    Entry("refused", "a refused problem raises ValueError when called", "gradbench.testing.refusals:refused"),
)
