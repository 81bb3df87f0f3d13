"""EDM's preconditioning keeps the scales of a network's input and output independent of the noise level."""

import math
from dataclasses import dataclass

from torch import Tensor

from gradbench import checks


@dataclass(frozen=True)
class Preconditioning:
    """D(y) = c_skip y + c_out F(c_in y), with y = x / alpha = x_0 + sigma eps and s = sigma_data:

        c_in = 1 / sqrt(sigma^2 + s^2),    c_skip = s^2 / (sigma^2 + s^2),    c_out = sigma s / sqrt(sigma^2 + s^2),

    where c_out is negative if the network predicts v, as in diffusers. The time input of F is c_noise = log(sigma) / 4.
    References: Karras et al., 2022, arXiv:2206.00364, equation 7 and table 1.
    """

    sigma_data: float = 0.5
    prediction: str = "epsilon"

    def __post_init__(self) -> None:
        checks.positive("sigma_data", self.sigma_data)
        checks.one_of("prediction_type", self.prediction, ("epsilon", "v_prediction"))

    def inputs(self, y: Tensor, sigma: float) -> Tensor:
        """c_in y."""
        return y / math.hypot(sigma, self.sigma_data)

    def outputs(self, y: Tensor, answer: Tensor, sigma: float) -> Tensor:
        """c_skip y + c_out F, the predicted clean sample."""
        total = math.hypot(sigma, self.sigma_data)
        c_out = sigma * self.sigma_data / total * (-1 if self.prediction == "v_prediction" else 1)
        return (self.sigma_data / total) ** 2 * y + c_out * answer
