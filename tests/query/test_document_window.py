"""Windows over lists that stand one behind the other."""

from hypothesis import given
from hypothesis import strategies as st

from query.document_window import cut_window


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 200), st.integers(0, 200))
def test_window_is_the_slice_of_all_lists_laid_out(totals: list[int], offset: int, limit: int) -> None:
    """The pieces are what a slice of the one long list has, and no list is asked in vain."""
    lists = [[(at, place) for place in range(total)] for at, total in enumerate(totals)]
    whole = [document for each in lists for document in each]

    pieces = cut_window(totals, offset=offset, limit=limit)

    found = [document for at, first, count in pieces for document in lists[at][first : first + count]]
    assert found == whole[offset : offset + limit]
    assert all(piece.limit > 0 for piece in pieces)
