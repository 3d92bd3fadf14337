r"""The escapes in quoted words of a filter expression.

Meilisearch 1.50 resolves them with the crate ``unescaper`` 0.1.8 (``filter-parser/src/value.rs``), whose every freedom
is followed here, so that no spelling of a name means one thing to us and another to a node:

==============================  ================================================================================
``\b \f \n \r \t \' \" \\ \/``  as in JSON
``\u005f``                      the next four characters
``\u{5f}``                      up to the brace, or to the end where there is none; any number of digits
``\x5f``                        the next two characters
``\137 \7``                     octal, three digits; two where the first is above 3
anything else                   a fault
==============================  ================================================================================

Digits may have a plus in front, as Rust reads numbers: ``\u+05f`` is an underscore. What always holds: a pure function
of the text. Who calls it: the filter grammar, and whoever looks for the names in a filter. It must not know: what a
word is for.
"""

import re
from enum import Enum

_ESCAPE = re.compile(
    r"\\(?:u\{(?P<braced>[^}]*)\}?|u(?P<four>.{4})|x(?P<two>.{2})|(?P<octal>[0-3][0-7]{0,2}|[4-7][0-7]?)|(?P<plain>.)|)",
    re.DOTALL,
)
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"', "\\": "\\", "/": "/"}
_NUMBER = re.compile(r"\+?[0-9a-fA-F]+")
_NUMBER_MAX = 0xFFFF_FFFF
_CODE_POINT_MAX = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class EscapeFault(Enum):
    """What is wrong with an escape."""

    INCOMPLETE = "the text ends within it"
    NUMBER = "its digits are no number"
    CHARACTER = "there is no such character"


class EscapeError(Exception):
    """A text with an escape that is none."""

    def __init__(self, fault: EscapeFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def resolve_escapes(quoted: str, mark: str) -> str:
    """Return what stands between two quotation marks of this kind, escapes resolved.

    Raises:
        EscapeError: an escape is none; the first counts.
    """
    if "\\" not in quoted:
        return quoted
    # Meilisearch takes the word's own mark first; so do we, also within what another escape takes for its digits.
    return _ESCAPE.sub(_resolved, quoted.replace(f"\\{mark}", mark))


def _resolved(escape: re.Match[str]) -> str:
    if (plain := escape["plain"]) is not None:
        if plain not in _PLAIN:
            raise EscapeError(EscapeFault.INCOMPLETE if plain in "ux" else EscapeFault.CHARACTER)
        return _PLAIN[plain]
    if escape["octal"] is not None:
        return chr(int(escape["octal"], 8))
    digits = next((found for found in escape.group("braced", "four", "two") if found is not None), None)
    if digits is None:
        raise EscapeError(EscapeFault.INCOMPLETE)
    if not _NUMBER.fullmatch(digits) or (code_point := int(digits, 16)) > _NUMBER_MAX:
        raise EscapeError(EscapeFault.NUMBER)
    if code_point > _CODE_POINT_MAX or code_point in _SURROGATES:
        raise EscapeError(EscapeFault.CHARACTER)
    return chr(code_point)
