"""Which workers are warm, which model they serve and how fast: beats in Redis, on Redis's clock."""

import json
from dataclasses import dataclass
from typing import Any

from redis import Redis

BEAT_SECONDS = 2.0
_FRESH_SECONDS = 10  # five missed beats: a worker that swaps or decodes a huge image is not gone yet

# KEYS: beats, notes. ARGV: owner, note.
_BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - 3600)) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
"""

# KEYS: beats, notes. ARGV: seconds a beat counts.
_WARM = """
local now = tonumber(redis.call('TIME')[1])
local notes = {}
for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[1], '+inf')) do
  local note = redis.call('HGET', KEYS[2], owner)
  if note then notes[#notes + 1] = note end
end
return notes
"""


@dataclass(frozen=True, slots=True)
class Note:
    """What a warm worker says of itself."""

    seconds_per_job: float | None  # measured, its latest batches weighing most; None before the first
    receipt: dict[str, Any]  # model name, version and digest, engine, precision
    card: dict[str, Any]  # what callers may know of the model: labels, input size, thresholds


class Presence:
    """Beats of the workers in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._beat = redis.register_script(_BEAT)
        self._warm = redis.register_script(_WARM)

    def beat(self, model: str, owner: str, note: Note) -> None:
        """Says that `owner` has `model` warm."""
        text = json.dumps({"seconds_per_job": note.seconds_per_job, "receipt": note.receipt, "card": note.card})
        self._beat(keys=_keys(model), args=[owner, text])

    def leave(self, model: str, owner: str) -> None:
        """Takes `owner` off the list."""
        beats, notes = _keys(model)
        self._redis.zrem(beats, owner)
        self._redis.hdel(notes, owner)

    def warm(self, model: str) -> list[Note]:
        """The notes of all workers heard of lately."""
        return [Note(**json.loads(text)) for text in self._warm(keys=_keys(model), args=[_FRESH_SECONDS])]

    def jobs_per_second(self, model: str) -> float | None:
        """The rate of all warm workers together, as measured; None when there is none, or none has measured yet."""
        costs = [note.seconds_per_job for note in self.warm(model)]
        known = [cost for cost in costs if cost is not None]
        return len(costs) * len(known) / sum(known) if known else None


def _keys(model: str) -> list[str]:
    return [f"turno:{{{model}}}:beats", f"turno:{{{model}}}:notes"]
