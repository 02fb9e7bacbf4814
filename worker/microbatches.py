"""Which batch sizes an engine is made for: each one compiled takes memory, and each one missing takes time."""

from collections.abc import Mapping
from itertools import combinations

from worker.engines import in_micro_batches

_WORTH_IT = 1.03  # what a number of images may cost at most, against all sizes that were measured


def fewest_sizes(seconds: Mapping[int, float]) -> list[int]:
    """The fewest sizes, and among as few the smallest, with which no number of images takes 3 % longer than it might.

    Args:
        seconds: what a batch of each size takes; 1 is among the sizes.

    Returns:
        Ascending, 1 first.
    """
    larger = sorted(set(seconds) - {1})
    # above twice the largest size, costs only repeat themselves
    totals = range(1, 2 * max(seconds) + 1)
    least = _least(seconds, len(totals))
    choices = (chosen for count in range(len(larger)) for chosen in combinations(larger, count))
    for chosen in choices:
        sizes = [1, *chosen]
        if all(_cost(seconds, sizes, total) <= _WORTH_IT * least[total] for total in totals):
            return sizes
    return [1, *larger]


def _cost(seconds: Mapping[int, float], sizes: list[int], total: int) -> float:
    return sum(seconds[piece.stop - piece.start] for piece in in_micro_batches(total, sizes))


def _least(seconds: Mapping[int, float], most: int) -> list[float]:
    """What each number of images takes at least, however it is divided."""
    least = [0.0]
    for total in range(1, most + 1):
        least.append(min(least[total - size] + cost for size, cost in seconds.items() if size <= total))
    return least
