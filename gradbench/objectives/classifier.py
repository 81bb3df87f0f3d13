"""The log-probability of a class under a classifier."""

import torch
from torch import Tensor, nn

from gradbench import checks


class ClassLogProbability(nn.Module):
    """objective(x)_b = log softmax(classifier(x))_{b, label}, with the classifier frozen.

    classifier: (b, *x) -> logits (b, classes). `ValueError` for a label outside 0..classes-1.
    """

    def __init__(self, classifier: nn.Module, label: int, classes: int) -> None:
        super().__init__()
        checks.one_of("label", label, range(classes))
        self.classifier = classifier.eval().requires_grad_(False)
        self.label = label

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.classifier(x), dim=1)[:, self.label]
