"""Documents of a file, cut into posts.

What always holds: none is left out, their order stays, and a post is within both bounds unless it is one document. Who
calls it: ``miroir produce --via http``. It must not know: who is posted to.
"""

from collections.abc import Iterable, Iterator

from miroir.document_files import FileDocument

POST_DOCUMENTS = 10_000
"""Of one post: some 10 MB of 1 KB documents."""

POST_BYTES = 32 * 1024 * 1024
"""The same for large documents, far below the 100 MB that a query service takes by default."""


def cut_posts(
    documents: Iterable[FileDocument], *, documents_max: int = POST_DOCUMENTS, bytes_max: int = POST_BYTES
) -> Iterator[list[FileDocument]]:
    """Yield the documents of one post after the other.

    Args:
        documents: in their order.
        documents_max: of one post.
        bytes_max: of one post, line ends included.
    """
    post: list[FileDocument] = []
    size = 0
    for document in documents:
        needed = len(document.value) + 1
        if post and (len(post) >= documents_max or size + needed > bytes_max):
            yield post
            post, size = [], 0
        post.append(document)
        size += needed
    if post:
        yield post
