"""Names of attributes against the names and patterns that settings and requests hold.

What always holds: a plain name stands for its nested attributes too and its ``*`` is a letter; in a pattern ``*`` at an
end stands for anything, and nothing nested is meant. Source: answers of 1.50. Who calls it: the query service's rules;
the embedded node's filters, facets, formatting and searched attributes.
"""


def is_within(name: str, parent: str) -> bool:
    """Tell whether an attribute is ``parent`` or nested in it."""
    return name.startswith(parent) and name[len(parent) : len(parent) + 1] in {"", "."}


def matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern stands for an attribute."""
    if pattern == "*":
        return True
    if pattern.startswith("*") and pattern.endswith("*"):
        return pattern[1:-1] in name
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern


def matches_or_holds(name: str, pattern: str) -> bool:
    """Tell whether a pattern stands for an attribute, or for something nested in it."""
    return matches(name, pattern) or is_within(pattern, name)
