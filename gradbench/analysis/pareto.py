"""The Pareto front: what nothing else beats in both of two costs."""

import math


def pareto_front(points: list[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other point dominates, both coordinates minimised, in the order of the first.

    A point dominates another when it is nowhere larger and somewhere smaller; equal points do not dominate each other.
    Points with a coordinate that is not finite are never on the front.
    """
    finite = [index for index, point in enumerate(points) if all(map(math.isfinite, point))]
    front: list[int] = []
    for index in sorted(finite, key=lambda index: points[index]):
        if not front or points[index][1] < points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front
