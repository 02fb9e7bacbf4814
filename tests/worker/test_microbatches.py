"""Which batch sizes an engine is compiled for."""

import pytest

from worker.engines import in_micro_batches
from worker.microbatches import fewest_sizes


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        ({1: 1.0}, [1]),
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, [1]),  # nothing is gained, so nothing is compiled
        ({1: 1.0, 2: 2.2, 4: 4.8}, [1]),
        ({1: 1.0, 2: 1.8, 4: 3.6, 8: 7.2}, [1, 2]),
        ({1: 1.0, 2: 1.99, 4: 3.2, 8: 6.4}, [1, 4]),  # one by one, two are as fast as two at once
        ({1: 1.0, 2: 1.5, 4: 2.4, 8: 4.0}, [1, 2, 4, 8]),
        ({1: 4.46, 2: 8.0, 4: 15.35, 8: 31.0}, [1, 2, 4]),  # the bundled model, in milliseconds
    ],
)
def test_a_size_is_compiled_when_some_number_of_images_takes_longer_without_it(
    seconds: dict[int, float], sizes: list[int]
) -> None:
    assert fewest_sizes(seconds) == sizes


@pytest.mark.parametrize("total", [1, 2, 3, 7, 15, 16, 17])
def test_every_image_is_in_exactly_one_micro_batch(total: int) -> None:
    pieces = list(in_micro_batches(total, [1, 2, 8]))
    assert [at for piece in pieces for at in range(piece.start, piece.stop)] == list(range(total))
    assert {piece.stop - piece.start for piece in pieces} <= {1, 2, 8}


def test_as_few_micro_batches_as_can_be_are_made() -> None:
    assert [piece.stop - piece.start for piece in in_micro_batches(15, [4, 1, 2, 8])] == [8, 4, 2, 1]
