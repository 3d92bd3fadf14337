"""Made-up documents of tests."""

from tests.integration.node import Document


def make_documents(count: int, *, first: int = 0, text: str = "first") -> dict[str, Document]:
    """Return documents by id, the number in their id from ``first`` on; ``text`` tells one version from another."""
    return {
        f"doc-{number}": {"id": f"doc-{number}", "number": number, "text": f"{text} text of number {number}"}
        for number in range(first, first + count)
    }
