"""Posts cut out of files."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from miroir.document_files import FileDocument
from miroir.document_posts import cut_posts

documents = st.lists(st.integers(0, 30).map(lambda size: FileDocument("", {}, b"x" * size, 0)), max_size=30)


@given(documents, st.integers(1, 5), st.integers(1, 60))
def test_posts_hold_all_documents_in_order_within_both_bounds(
    given_documents: list[FileDocument], documents_max: int, bytes_max: int
) -> None:
    """A document that is too large by itself goes alone: the service says so."""
    posts = list(cut_posts(iter(given_documents), documents_max=documents_max, bytes_max=bytes_max))

    assert [document for post in posts for document in post] == given_documents
    assert all(1 <= len(post) <= documents_max for post in posts)
    assert all(len(post) == 1 or sum(len(each.value) + 1 for each in post) <= bytes_max for post in posts)


@given(documents, st.integers(1, 5), st.integers(1, 60))
def test_posts_are_as_large_as_they_may_be(
    given_documents: list[FileDocument], documents_max: int, bytes_max: int
) -> None:
    """The next post's first document would have been too many, or too much."""
    posts = list(cut_posts(given_documents, documents_max=documents_max, bytes_max=bytes_max))

    for post, following in pairwise(posts):
        size = sum(len(each.value) + 1 for each in (*post, following[0]))
        assert len(post) == documents_max or size > bytes_max
