"""The attributes a filter asks about."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from query.filter_fields import contains_place, filter_fields

CASES = {
    "comparison": ("year > 1990", ["year"]),
    "no blanks": ("year>=1990", ["year"]),
    "joined": ("a = 1 AND b != 2 OR NOT c EXISTS", ["a", "b", "c"]),
    "groups": ("((a = 1) OR (NOT (b = 2)))", ["a", "b"]),
    "negated operators": ("a NOT IN [b, 'c'] AND d NOT EXISTS AND e IS NOT NULL", ["a", "d", "e"]),
    "range": ("a 1 TO 2 AND b = 3", ["a", "b"]),
    "two words": ("a STARTS WITH b OR c = d", ["a", "c"]),
    "values like keywords": ("a = 'AND' AND \"OR\" = x", ["a", "OR"]),
    "dotted": ("o.k = 1", ["o.k"]),
    "geo": ("_geoRadius(1, 2, 3) AND NOT _geoBoundingBox([1, 2], [3, 4])", ["_geo", "_geo"]),
    "escaped marker": (r'"\u{5f}miroir" EXISTS', ["_miroir"]),
    "escaped by a byte": (r"'\x5fmiroir' EXISTS", ["_miroir"]),
    "escaped in octal": (r'"\137miroir" EXISTS', ["_miroir"]),
    "escaped with an open brace": (r'"_miroi\u{72" EXISTS', ["_miroir"]),
    "escaped with a plus": (r'"\u+05fmiroir" EXISTS', ["_miroir"]),
    "escaped before what looks like a digit": (r'"\u005facet" EXISTS', ["_acet"]),
    "no escape": (r'"\amiroir" EXISTS', [r"\amiroir"]),
    "marker in a group": ("(a = 1)AND(_miroir = 2)", ["a", "_miroir"]),
    "marker as a value": ("a = _miroir", ["a"]),
}


@pytest.mark.parametrize(("expression", "names"), CASES.values(), ids=CASES.keys())
def test_attributes_are_found_in_order(expression: str, names: list[str]) -> None:
    """Each condition's attribute is found, and no value is taken for one."""
    assert [field.name for field in filter_fields(expression)] == names


names = st.sampled_from(["a", "_miroir", "o.k", "x y", "AND", 'q"', "é"])
conditions = st.sampled_from(["= 1", "!= 'AND x'", "IN [a, b]", "NOT IN []", "EXISTS", "IS NOT NULL", "1 TO 2"])


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, list[str]]:
    """A filter and the attributes it was made with."""
    form = draw(st.sampled_from(["condition", "AND", "OR", "NOT", "("])) if depth else "condition"
    if form == "condition":
        name = draw(names)
        quoted = name.replace('"', '\\"')
        return f'"{quoted}" {draw(conditions)}', [name]
    text, found = draw(expressions(depth - 1))
    if form == "NOT":
        return f"NOT ({text})", found
    if form == "(":
        return f"( {text})", found
    other, more = draw(expressions(depth - 1))
    return f"{text} {form} {other}", [*found, *more]


@given(expressions())
def test_every_attribute_of_a_composed_filter_is_found(made: tuple[str, list[str]]) -> None:
    """However conditions are joined, negated and grouped, all attributes are found."""
    expression, wanted = made

    assert [field.name for field in filter_fields(expression)] == wanted


@example('"')
@example('a = 1 AND "b\\"')
@given(st.text())
def test_any_text_is_scanned(text: str) -> None:
    """Text that is no filter gives some attributes, each where it says it stands, and never fails."""
    for field in filter_fields(text):
        assert 0 <= field.start <= field.end <= len(text)


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("genre CONTAINS am", (6, 14)),
        ("a = 1 AND NOT (b CONTAINS x)", (17, 25)),
        ("CONTAINS = 1", None),
        ("a = 'CONTAINS'", None),
        ("a = 1 AND CONTAINS = 2", None),
        ("a NOT CONTAINS b", (6, 14)),
        ("NOT a CONTAINS b", (6, 14)),
    ],
)
def test_contains_is_found_where_it_is_an_operator(expression: str, place: tuple[int, int] | None) -> None:
    """An attribute or a value of this name is none."""
    assert contains_place(expression) == place


@pytest.mark.parametrize("mark", ['"', "'"])
def test_quotes_that_are_never_closed_are_read_once(mark: str) -> None:
    """Looking for the end of each one anew would stop everybody for hours."""
    expression = f"a = {mark}" + f"\\{mark}" * 300_000

    assert [field.name for field in filter_fields(expression)] == ["a"]
    assert contains_place(expression) is None
