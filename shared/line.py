"""What stands in Redis, and how it is taken: one waiting line for each model.

The line is a sorted set of job ids. The score is the job's priority class and its turn: a caller's next
turn is one after its own last, but no earlier than the turn now being served. So callers alternate, and
nobody's ten thousand images bury somebody else's one (start-time fair queueing); within a turn, who came
first goes first.

SQL holds the truth; whatever is lost here, the courier's audit puts back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from redis import Redis, RedisError

from shared.jobs import Queued

# scores are doubles: exact to 2^53, so a class has room for 2^40 turns
_CLASS_WIDTH = 2**40

# KEYS: line, turns. ARGV: width of a class, then id, caller, priority for each job.
_JOIN = """
local width = tonumber(ARGV[1])
for i = 2, #ARGV, 3 do
  local id, caller, class = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if not redis.call('ZSCORE', KEYS[1], id) then
    local base = tonumber(class) * width
    local head = redis.call('ZRANGEBYSCORE', KEYS[1], base, '(' .. base + width, 'WITHSCORES', 'LIMIT', 0, 1)
    local serving = head[2] and tonumber(head[2]) - base
      or tonumber(redis.call('HGET', KEYS[2], 'served:' .. class) or 0)
    local mine = class .. ':' .. caller
    local turn = math.max(tonumber(redis.call('HGET', KEYS[2], mine) or 0) + 1, serving)
    redis.call('HSET', KEYS[2], mine, turn)
    redis.call('ZADD', KEYS[1], base + turn, id)
  end
end
"""

# KEYS: line, turns. ARGV: width of a class, number of ids.
_TAKE = """
local width = tonumber(ARGV[1])
local taken = redis.call('ZPOPMIN', KEYS[1], ARGV[2])
for i = 1, #taken, 2 do
  local class = math.floor(taken[i + 1] / width)
  redis.call('HSET', KEYS[2], 'served:' .. class, taken[i + 1] - class * width)
end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return taken
"""


# KEYS: line, turns. ARGV: id, caller, priority for each job. Whose job goes gets its turn back.
_LEAVE = """
for i = 1, #ARGV, 3 do
  if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then
    redis.call('HINCRBY', KEYS[2], ARGV[i + 2] .. ':' .. ARGV[i + 1], -1)
  end
end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
"""


class Line:
    """The waiting lines in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._join = redis.register_script(_JOIN)
        self._take = redis.register_script(_TAKE)
        self._leave = redis.register_script(_LEAVE)

    def join(self, arrivals: Iterable[Queued]) -> None:
        """Puts jobs at their turns; one that stands there already keeps its place."""
        for model, entries in _entries(arrivals).items():
            self._join(keys=_keys(model), args=[_CLASS_WIDTH, *entries])

    def take(self, model: str, most: int) -> dict[str, float]:
        """Takes up to `most` ids from the head, in order, each with its place; they stand in nobody's line any more."""
        taken = self._take(keys=_keys(model), args=[_CLASS_WIDTH, most])
        return {id_.decode(): float(place) for id_, place in zip(taken[::2], taken[1::2], strict=True)}

    def put_back(self, model: str, places: Mapping[str, float]) -> None:
        """Puts ids that were taken and not begun back where they stood."""
        self._redis.zadd(_keys(model)[0], dict(places), nx=True)

    def leave(self, jobs: Iterable[Queued]) -> None:
        """Takes out jobs that are not to run any more; their callers' later jobs move up.

        A line that does not answer keeps them: whoever takes them finds nothing to claim.
        """
        with suppress(RedisError):
            for model, entries in _entries(jobs).items():
                self._leave(keys=_keys(model), args=entries)

    def missing(self, model: str, ids: Sequence[str]) -> set[str]:
        """Which of these ids do not stand in the line."""
        scores = self._redis.zmscore(_keys(model)[0], list(ids))
        return {id_ for id_, score in zip(ids, scores, strict=True) if score is None}

    def positions(self, model: str, ids: Sequence[str]) -> dict[str, int]:
        """How many stand before each of these ids; one that is not in the line is left out."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for id_ in ids:
                pipeline.zrank(_keys(model)[0], id_)
            ranks = pipeline.execute()
        return {id_: rank for id_, rank in zip(ids, ranks, strict=True) if rank is not None}

    def depth(self, model: str) -> int:
        """How many stand in the line."""
        return int(self._redis.zcard(_keys(model)[0]))


def _entries(jobs: Iterable[Queued]) -> dict[str, list[str | int]]:
    by_model: dict[str, list[str | int]] = defaultdict(list)
    for job in jobs:
        by_model[job.model] += [job.id, job.caller, int(job.priority)]
    return by_model


def _keys(model: str) -> list[str]:
    # the braces keep both keys of a model on one node of a Redis cluster
    return [f"turno:{{{model}}}:line", f"turno:{{{model}}}:turns"]
