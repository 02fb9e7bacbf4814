"""What a measure reports: figures of several rounds, each beside its goal."""

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should reach."""

    edge: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.edge:g}"

    def met(self, value: float) -> bool:
        """Whether this value reaches it."""
        return value <= self.edge if self.at_most else value >= self.edge


@dataclass(slots=True)
class Figure:
    """One row of the table: a value for each round."""

    measure: str  # the file that measured it
    case: str  # workload, size of the table, …
    name: str
    unit: str  # "" for a ratio
    values: list[float] = field(default_factory=list)
    goal: Goal | None = None
    where: str = ""  # what ran on which core

    @property
    def median(self) -> float:
        """Half of the rounds gave more."""
        return statistics.median(self.values)

    def document(self) -> dict[str, Any]:
        """Everything, for the JSON file."""
        return {
            "measure": self.measure,
            "case": self.case,
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "least": min(self.values),
            "most": max(self.values),
            "rounds": self.values,
            "goal": str(self.goal) if self.goal else None,
            "met": self.goal.met(self.median) if self.goal else None,
            "where": self.where,
        }


class Figures:
    """The rows of one case, in the order in which they were first noted."""

    def __init__(self, measure: str, case: str, where: str = "") -> None:
        self._head = (measure, case)
        self._where = where
        self._rows: dict[str, Figure] = {}

    def note(self, name: str, value: float, unit: str = "", goal: Goal | None = None) -> None:
        """Adds one round's value."""
        row = self._rows.setdefault(name, Figure(*self._head, name, unit, goal=goal, where=self._where))
        row.values.append(value)

    def note_ratio(self, name: str, one: float, other: float) -> None:
        """The same for the one over the other, unless so little was done that the clock of CPU time did not move."""
        if other:
            self.note(name, one / other)

    def rows(self) -> list[Figure]:
        """All that was noted."""
        return list(self._rows.values())
