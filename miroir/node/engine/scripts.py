"""Which script a character belongs to, as far as segmentation and folding care.

What always holds: characters of no script (digits, blanks, ASCII punctuation, most symbols) give ``""``. Who calls it:
the tokeniser. Source: the ranges of the Unicode blocks.
"""

from bisect import bisect_right
from functools import lru_cache

_RANGES = (
    (0x41, 0x5A, "latin"),
    (0x61, 0x7A, "latin"),
    (0x80, 0x24F, "latin"),
    (0x250, 0x2AF, "latin"),
    (0x370, 0x3FF, "greek"),
    (0x400, 0x52F, "cyrillic"),
    (0x531, 0x58F, "armenian"),
    (0x591, 0x5FF, "hebrew"),
    (0x600, 0x6FF, "arabic"),
    (0x750, 0x77F, "arabic"),
    (0x8A0, 0x8FF, "arabic"),
    (0x900, 0x97F, "devanagari"),
    (0x980, 0x9FF, "bengali"),
    (0xA00, 0xA7F, "gurmukhi"),
    (0xA80, 0xAFF, "gujarati"),
    (0xB00, 0xB7F, "oriya"),
    (0xB80, 0xBFF, "tamil"),
    (0xC00, 0xC7F, "telugu"),
    (0xC80, 0xCFF, "kannada"),
    (0xD00, 0xD7F, "malayalam"),
    (0xD80, 0xDFF, "sinhala"),
    (0xE00, 0xE7F, "thai"),
    (0x1000, 0x109F, "myanmar"),
    (0x10A0, 0x10FF, "georgian"),
    (0x1100, 0x11FF, "hangul"),
    (0x1200, 0x139F, "ethiopic"),
    (0x1780, 0x17FF, "khmer"),
    (0x1C80, 0x1C8F, "cyrillic"),
    (0x1C90, 0x1CBF, "georgian"),
    (0x1E00, 0x1EFF, "latin"),
    (0x1F00, 0x1FFF, "greek"),
    (0x2100, 0x214F, "latin"),
    (0x2C60, 0x2C7F, "latin"),
    (0x2D00, 0x2D2F, "georgian"),
    (0x2DE0, 0x2DFF, "cyrillic"),
    (0x2E80, 0x2FDF, "cj"),
    (0x3005, 0x3007, "cj"),
    (0x3040, 0x30FF, "cj"),
    (0x3130, 0x318F, "hangul"),
    (0x31F0, 0x31FF, "cj"),
    (0x3400, 0x4DBF, "cj"),
    (0x4E00, 0x9FFF, "cj"),
    (0xA640, 0xA69F, "cyrillic"),
    (0xA720, 0xA7FF, "latin"),
    (0xAC00, 0xD7AF, "hangul"),
    (0xF900, 0xFAFF, "cj"),
    (0xFB00, 0xFB06, "latin"),
    (0xFB13, 0xFB17, "armenian"),
    (0xFB1D, 0xFB4F, "hebrew"),
    (0xFB50, 0xFDFF, "arabic"),
    (0xFE70, 0xFEFE, "arabic"),
    (0xFF21, 0xFF3A, "latin"),
    (0xFF41, 0xFF5A, "latin"),
    (0xFF66, 0xFF9F, "cj"),
    (0x20000, 0x2FA1F, "cj"),
)
_STARTS = tuple(start for start, _, _ in _RANGES)


@lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """Return the script's name in lower case, or an empty string."""
    code = ord(character)
    place = bisect_right(_STARTS, code) - 1
    if place < 0:
        return ""
    _, end, name = _RANGES[place]
    return name if code <= end else ""
