"""What a truncated gradient detaches: the network's eps or its v, and how every step reads from it.

With the detached output O = w_x0 x0_hat + w_eps eps_hat and x = alpha x0_hat + sigma eps_hat, x0_hat and eps_hat are
functions of x and O. Detaching O leaves what passes around the network, which depends on O although the value of the
step does not: of a DDIM step, alpha_1/alpha_0 if eps is detached, 1 if the velocity of rectified flow is, and
cos(phi_0 - phi_1) with phi = atan2(sigma, alpha) if v = alpha eps - sigma x_0 is.
"""

from gradbench import checks
from gradbench.diffusion.chart import AngleChart, Chart, NoiseChart, TimeChart
from gradbench.diffusion.schedule import Schedule

DETACHED = ("eps", "v")


def detached_chart(name: str, schedule: Schedule) -> Chart:
    """The chart whose field is the output O: `eps`, or `v`, the velocity eps - x_0 of rectified flow and alpha eps -
    sigma x_0 of any other schedule. Its clock is the one in which O is integrated; `ValueError` for another name.
    """
    if checks.one_of("detach", name, DETACHED) == "eps":
        return NoiseChart(schedule)
    return TimeChart(schedule) if schedule.name == "rectified" else AngleChart(schedule)


def held_chart(name: str, schedule: Schedule, t: float) -> Chart:
    """The chart of the output detached at t: that of `name`, but v's at alpha = 0, where eps leaves x0_hat open."""
    return detached_chart("v" if name == "eps" and schedule.alpha(t) == 0 else name, schedule)


def through(chart: Chart, t: float, weights: tuple[float, float]) -> tuple[float, float]:
    """(c_x, c_O) of w_x0 x0_hat + w_eps eps_hat = c_x x + c_O O at t, O the field of `chart`.

    Raises `ZeroDivisionError` where x and O do not determine x0_hat, as for eps at alpha = 0.
    """
    alpha, sigma = chart.schedule.alpha(t), chart.schedule.sigma(t)
    (x0, eps), (own_x0, own_eps) = weights, chart.weights(t)
    size = alpha * own_eps - sigma * own_x0
    return (x0 * own_eps - eps * own_x0) / size, (alpha * eps - sigma * x0) / size


def leap(chart: Chart, t0: float, t1: float) -> tuple[float, float]:
    """(A, B) of the DDIM step alpha_1 x0_hat + sigma_1 eps_hat = A x + B O from t0 to t1, O the field of `chart`."""
    return through(chart, t0, (chart.schedule.alpha(t1), chart.schedule.sigma(t1)))
