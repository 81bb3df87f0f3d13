"""The right answers of a problem: flow, sampler and expected gradients, each computed in two ways.

Importing this package connects `Problem.flow_gradient`, `Problem.sampler_gradient` and the others to it.
"""

import gradbench.references as answers
from gradbench.problems.problem import Problem
from gradbench.references.expected import expectation, expected_gradient
from gradbench.references.flow import flow_gradient, path_gradient
from gradbench.references.sampler import sampler_gradient

__all__ = ["Problem", "expectation", "expected_gradient", "flow_gradient", "path_gradient", "sampler_gradient"]

Problem.answers = answers
