"""Filter texts to trees, and the words of their refusals."""

import pytest

from schemas.errors import InvalidSearchError
from schemas.filter_grammar import parse_filter
from schemas.filter_tree import And, Condition, Filter, Not, Or, print_filter


def printed(value: object) -> str:
    """Return the print of a parsed filter."""
    tree, _ = parse_filter(value)
    assert tree is not None
    return print_filter(tree).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a = 1", '"a" = "1"'),
        ("a=1 AND b!=2 OR c>3", '(("a" = "1") AND ("b" != "2")) OR ("c" > "3")'),
        ("NOT a = 1 AND b = 2", '(NOT ("a" = "1")) AND ("b" = "2")'),
        ("NOT NOT a = 1", '"a" = "1"'),
        ("a IN [x, 'y z',]", '"a" IN ["x", "y z"]'),
        ("a NOT IN [x]", 'NOT ("a" IN ["x"])'),
        ("a 1 TO 5", '"a" "1" TO "5"'),
        ("a EXISTS", '"a" EXISTS'),
        ("a IS NOT NULL", 'NOT ("a" IS NULL)'),
        ("a IS EMPTY", '"a" IS EMPTY'),
        ("a STARTS WITH 'é'", '"a" STARTS WITH "é"'),
        ("(a = 1 OR b = 2) AND c = 3", '(("a" = "1") OR ("b" = "2")) AND ("c" = "3")'),
        ("_geoRadius(1, 2, 3)", "_geoRadius(1, 2, 3)"),
        ("_geoBoundingBox([1, 2], [3, 4])", "_geoBoundingBox([1, 2], [3, 4])"),
    ],
)
def test_filter_is_read_as_the_real_node_reads_it(text: str, shown: str) -> None:
    """Precedence, negation and every operator."""
    assert printed(text) == shown


def test_arrays_mean_and_of_or() -> None:
    """The outer array joins with AND, inner ones with OR; blanks restrict nothing."""
    assert printed(["a = 1", ["b = 2", "c = 3"]]) == '("a" = "1") AND (("b" = "2") OR ("c" = "3"))'
    assert parse_filter(["", []])[0] is None
    assert parse_filter("  ")[0] is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("s =", "Was expecting a value but instead got nothing.\n4:4 s ="),
        ("s = AND", "`AND`, which is a reserved keyword."),
        ("s = a b", "Found unexpected characters at the end of the filter: `b`."),
        ("(s = a", "Expression `(s = a` is missing the following closing delimiter: `)`."),
        ("s IN [a", "Expected matching `]` after the list of field names given to `IN[`"),
        ("s IN a", "Expected `[` after `IN` keyword."),
        ("s IN [AND]", "Expected only comma-separated field names inside `IN[..]` but instead found `AND]`."),
        ("_geoRadius(1,2)", "Was expecting 3 or 4 arguments for `_geoRadius`, but instead found 2."),
        ("_geoPoint(1,2)", "`_geoPoint` is a reserved keyword and thus can't be used as a filter expression."),
        (5, "Invalid syntax for the filter parameter: `expected String, Array, found: 5`."),
        ([[["x"]]], 'Invalid syntax for the filter parameter: `expected String, found: ["x"]`.'),
        ("s", "Was expecting an operation"),
        ([1], "expected String, [String], found: 1"),
        ("n = 'a", "Expression `\\'a` is missing the following closing delimiter: `'`.\n5:7 n = 'a"),
        ("_geoRadius(1,2)", "but instead found 2.\n16:16 _geoRadius(1,2)"),
        ("_geoRadius(1,2,a)", "optionalResolution)`.\n15:18 _geoRadius(1,2,a)"),
        ("_geoBoundingBox([1,2])", "\n23:23 _geoBoundingBox([1,2])"),
        ("n 1 TO", "Was expecting an operation"),
        ("n = 1 OR OR n = 2", "got `OR`, which is a reserved keyword."),
        ("n EXISTS EXISTS", "`` EXISTS`".replace("``", "`") + ". You probably"),
        ("n = _geoRadius(1,2,3)", "is an operation and can't be used as a value"),
        ("(" * 60 + "a = 1" + ")" * 60, "exceeded the maximum depth limit"),
    ],
)
def test_bad_filter_is_refused_in_the_real_nodes_words(value: object, message: str) -> None:
    """Each kind of mistake has its own message."""
    with pytest.raises(InvalidSearchError) as refusal:
        parse_filter(value)

    assert message in str(refusal.value)


def test_spans_point_into_the_text() -> None:
    """A condition knows where its words stood."""
    tree, _ = parse_filter("year > 'x y'")

    assert isinstance(tree, Condition)
    assert (tree.field.start, tree.field.end) == (0, 4)
    assert (tree.values[0].text, tree.values[0].start, tree.values[0].end) == ("x y", 8, 11)


@pytest.mark.parametrize("kind", [And, Or], ids=["and", "or"])
def test_joined_conditions_keep_their_order(kind: type[And] | type[Or]) -> None:
    """Parts stand in the order they were written in."""
    word = "AND" if kind is And else "OR"

    tree, _ = parse_filter(f"a = 1 {word} b = 2 {word} NOT c = 3")

    assert isinstance(tree, kind)
    names: list[Filter] = [part.part if isinstance(part, Not) else part for part in tree.parts]
    assert [part.field.text for part in names if isinstance(part, Condition)] == ["a", "b", "c"]
