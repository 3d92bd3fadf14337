"""How a query text matches an index: its universe, its graph and the rules it is ranked by.

What always holds: the universe is final; rules only order it. Source: ``ranking.md`` sections 2 and 3. Who calls it:
searches.
"""

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from miroir.node.engine.flatten import is_under
from miroir.node.engine.ranking.bucket_sort import Rule
from miroir.node.engine.ranking.context import Context
from miroir.node.engine.ranking.costs import Paths
from miroir.node.engine.ranking.exactness import ExactAttributeRule, ExactnessRule
from miroir.node.engine.ranking.graph import Graph, removal_order
from miroir.node.engine.ranking.places import AttributeRule, PositionRule
from miroir.node.engine.ranking.proximity import ProximityRule
from miroir.node.engine.ranking.query import Query, parse_query
from miroir.node.engine.ranking.words import TypoRule, WordsRule
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.search_request import SearchRequest
from miroir.node.engine.tokens import Tokenizer
from miroir.node.protocol.errors import ApiError


@dataclass(frozen=True, slots=True)
class Match:
    """A matched query.

    Attributes:
        state: the paths the first rule starts from.
        fields: the searched fields' numbers, None for all.
    """

    state: Paths
    context: Context
    query: Query
    graph: Graph
    groups: tuple[frozenset[int], ...]
    fields: frozenset[int] | None

    def rules(self, name: str) -> Iterator[Rule]:
        """Yield the rules behind a ranking rule's name, in order."""
        match name:
            case "words":
                yield WordsRule(self.graph, self.groups)
            case "typo":
                yield TypoRule()
            case "proximity":
                yield ProximityRule(self.context)
            case "attributeRank":
                yield AttributeRule(self.context, self.fields, name="attributeRank", key="score")
            case "wordPosition":
                yield PositionRule(self.context, name="wordPosition", key="score")
            case "attribute":
                key = "attributeRankingOrderScore"
                yield AttributeRule(self.context, self.fields, name="attribute", key=key)
                yield PositionRule(self.context, name="attribute", key="queryWordDistanceScore")
            case "exactness":
                yield ExactAttributeRule(self.context, self.fields)
                yield ExactnessRule()


def tokenizer_of(reader: IndexReader) -> Tokenizer:
    """Return the index's tokeniser, made once per generation."""
    key = "tokenizer"
    if key not in reader.memo:
        reader.memo[key] = reader.settings.tokenizer()
    tokenizer: Tokenizer = reader.memo[key]
    return tokenizer


def match_query(
    reader: IndexReader, request: SearchRequest, universe: int, fields: frozenset[int] | None
) -> tuple[int, Match | None]:
    """Return the documents of ``universe`` that match, and how; None where the query text has nothing to rank by."""
    query = parse_query(request.q or "", tokenizer_of(reader), prefix_search=reader.settings.prefix_search)
    context = Context(reader, fields)
    for word in query.negative_words:
        universe &= ~context.documents(word)
    for phrase in query.negative_phrases:
        universe &= ~context.phrase(phrase)
    if not query.terms:
        return universe, None
    graph = Graph(context, query.terms)
    groups = removal_order(graph, request.strategy)
    mandatory = frozenset(range(graph.size)).difference(*groups) if groups else frozenset(range(graph.size))
    found = graph.universe(mandatory, universe)
    state = tuple(graph.paths(frozenset(range(graph.size)))) if request.strategy == "all" else ()
    return found, Match(state, context, query, graph, tuple(groups), fields)


def _searched(searchable: Sequence[str], reader: IndexReader) -> list[str]:
    """Return the searchable attributes with the nested ones that documents hold."""
    return [*searchable, *(name for name in reader.field_numbers if is_under(name, searchable) is not None)]


def search_fields(reader: IndexReader, request: SearchRequest) -> frozenset[int] | None:
    """Return the numbers of the searched fields, None for all.

    Raises:
        ApiError: one that is named is not searchable.
    """
    names = request.search_on
    if names is None or "*" in names:
        return None
    searchable = reader.settings.searchable
    found = set()
    for name in names:
        own = [
            number
            for field, number in reader.field_numbers.items()
            if (field == name or ("*" in name and fnmatch.fnmatchcase(field, name)))
            and is_under(field, searchable) is not None
        ]
        if not own and "*" not in searchable and "*" not in name and is_under(name, searchable) is None:
            listed = reader.settings.list_displayed(_searched(searchable, reader))
            tail = f"Available searchable attributes are: `{listed}`."
            text = f"Index `{reader.uid}`: Attribute `{name}` is not searchable. {tail}"
            raise ApiError("invalid_search_attributes_to_search_on", text)
        found.update(own)
    return frozenset(found)
