"""What is worked on: four models with their pictures, as people have them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pictures:
    """Made-up JPEGs that are about as large as a camera's."""

    width_px: int
    height_px: int
    distinct: int = 16
    quality: int = 85
    noise: float = 5.0  # deviation of the sensor's noise, in steps of 256

    @property
    def name(self) -> str:
        """The folder they lie in."""
        return f"{self.width_px}x{self.height_px}"


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder."""

    name: str
    width_px: int
    height_px: int
    scale: str
    shipped: bool = False  # it comes with the repository; else `bench.models` makes it


@dataclass(frozen=True, slots=True)
class Workload:
    """Pictures for a model."""

    name: str
    model: Model
    pictures: Pictures
    goal: float | None  # of drain, over the raw loop
    jobs_most: int  # in one round; a round is also over after about five seconds' worth
    jobs_least: int
    rounds_most: int = 99  # of drain: where a round takes half a minute, two have to do


_CNN = Model("cnn", 180, 180, "1/255")
_SMALL = Pictures(256, 256)

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("cnn", _CNN, _SMALL, 0.90, 2000, 32),
        Workload("photos", _CNN, Pictures(4000, 3000, noise=9.0), 0.97, 200, 16),
        Workload("efficientnet", Model("efficientnet", 224, 224, "none"), _SMALL, None, 1000, 32),
        Workload("bundled", Model("leaf-health", 180, 180, "1/255", shipped=True), _SMALL, None, 2000, 32),
        Workload("vgg16", Model("vgg16", 720, 500, "1/255"), Pictures(720, 540), 0.99, 60, 6, rounds_most=2),
    )
}
