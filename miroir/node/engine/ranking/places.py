"""The rules of place: ``attributeRank`` and ``wordPosition``, alone or as ``attribute``.

What always holds: a term counts where it stands best. Source: ``ranking.md`` sections 4.5 and 4.6. Who calls it:
matching.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator

from miroir.node.engine import bitmaps
from miroir.node.engine.flatten import is_under
from miroir.node.engine.ranking.bucket_sort import Bucket, Rank
from miroir.node.engine.ranking.context import Context, fields_of, numbers_of, positions_of
from miroir.node.engine.ranking.costs import Paths, Placed, combine, documents_of, place_by_cost
from miroir.node.engine.ranking.graph import Step

POSITION_COST_MAX = 10


class AttributeRule:
    """Words in earlier searchable attributes first."""

    def __init__(self, context: Context, fields: frozenset[int] | None, *, name: str, key: str) -> None:
        self._context = context
        self._fields = fields
        self._name = name
        self._key = key
        settings = context.reader.settings
        self._entries = settings.searchable
        self._weights = {
            number: is_under(field, settings.searchable) or 0 for field, number in context.reader.field_numbers.items()
        }

    def buckets(self, universe: int, state: Paths) -> Iterator[Bucket]:
        """Yield buckets by the sum of attribute weights."""
        largest = len(self._entries) - 1
        maximum = max((sum(largest * step.term.size for step in path) for path in state), default=0)
        placed: list[Placed] = []
        for path in state:
            numbers = documents_of(path, universe)
            if not numbers:
                continue
            if largest == 0:
                placed.append(Placed(0, path, numbers))
                continue
            classes = [self._classes(step, numbers) for step in path]
            placed.extend(combine(path, classes, numbers))
        for cost, numbers, paths in place_by_cost(placed, universe):
            score = (maximum + 1 - cost) / (maximum + 1)
            yield Bucket(numbers, paths, (Rank(maximum + 1 - cost, maximum + 1),), ((self._name, {self._key: score}),))

    def _classes(self, step: Step, universe: int) -> dict[int, int]:
        fields, size = self._fields, step.term.size

        def cost_of(field: int) -> int | None:
            return None if fields is not None and field not in fields else self._weights.get(field, 0) * size

        return _by_cost(_first_places(step, universe, self._context), fields_of, cost_of)


class _Costs(dict[int, int | None]):
    """Costs by key, found when first asked for."""

    def __init__(self, cost_of: Callable[[int], int | None]) -> None:
        super().__init__()
        self._cost_of = cost_of

    def __missing__(self, key: int) -> int | None:
        cost = self[key] = self._cost_of(key)
        return cost


def _by_cost(
    parts: Iterator["array[int]"], keys_of: Callable[["array[int]"], list[int]], cost_of: Callable[[int], int | None]
) -> dict[int, int]:
    """Return the documents of occurrences by cost; a document may be under several, and the lowest counts.

    Args:
        parts: occurrences.
        keys_of: what of each occurrence the cost depends on.
        cost_of: a key's cost, None where it does not count.
    """
    groups: defaultdict[int | None, list[int]] = defaultdict(list)
    costs = _Costs(cost_of)
    for places in parts:
        for number, cost in zip(numbers_of(places), map(costs.__getitem__, keys_of(places)), strict=True):
            groups[cost].append(number)
    groups.pop(None, None)
    return {cost: bitmaps.from_numbers(numbers) for cost, numbers in groups.items() if cost is not None}


def _first_places(step: Step, universe: int, context: Context) -> Iterator["array[int]"]:
    yield step.term.occurrences_in(step.parts, universe)
    for word, numbers in step.term.touching_phrases(step.parts, last=False):
        yield context.places([word], universe & numbers)


class PositionRule:
    """Words near their place in the query first."""

    def __init__(self, context: Context, *, name: str, key: str) -> None:
        self._context = context
        self._name = name
        self._key = key

    def buckets(self, universe: int, state: Paths) -> Iterator[Bucket]:
        """Yield buckets by the sum of distances from the query's places."""
        maximum = max((sum(POSITION_COST_MAX * step.term.size for step in path) for path in state), default=0)
        placed: list[Placed] = []
        for path in state:
            numbers = documents_of(path, universe)
            if numbers:
                placed.extend(combine(path, [self._classes(step, numbers) for step in path], numbers))
        for cost, numbers, paths in place_by_cost(placed, universe):
            score = (maximum + 1 - cost) / (maximum + 1)
            yield Bucket(numbers, paths, (Rank(maximum + 1 - cost, maximum + 1),), ((self._name, {self._key: score}),))

    def _classes(self, step: Step, universe: int) -> dict[int, int]:
        start, size = step.term.start, step.term.size
        places = _first_places(step, universe, self._context)
        return _by_cost(places, positions_of, lambda position: _position_cost(position, start, size))


_DISTANCE_COSTS = ((0, 0), (1, 1), (4, 2), (7, 3), (11, 4), (16, 5), (24, 6), (64, 7), (256, 8), (1024, 9))
_FINE_POSITIONS = 16
_FIRST_COARSE = 24


def position_bucket(position: int) -> int:
    """Return the bucket a position is kept in: exact to 15, coarser beyond."""
    if position < _FINE_POSITIONS:
        return position
    if position < _FIRST_COARSE:
        return _FIRST_COARSE
    return 1 << (position - 1).bit_length()


def positions_in(bucket: int) -> range:
    """Return the positions that are kept in a bucket."""
    if bucket < _FINE_POSITIONS:
        return range(bucket, bucket + 1)
    if bucket == _FIRST_COARSE:
        return range(_FINE_POSITIONS, _FIRST_COARSE)
    return range(max(bucket // 2 + 1, _FIRST_COARSE), bucket + 1)


def _position_cost(position: int, start: int, size: int) -> int:
    distance = abs(position_bucket(position) - start)
    return sum(distance_cost(distance + step) for step in range(size))


def distance_cost(distance: int) -> int:
    """Return the cost of a distance between a word's place in a document and in the query."""
    for bound, cost in _DISTANCE_COSTS:
        if distance <= bound:
            return cost
    return POSITION_COST_MAX
