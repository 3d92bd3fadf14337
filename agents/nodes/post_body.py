"""The body of a post, sent piece by piece from where it lies.

A post has megabytes. The library copies bytes that the system does not take at once, and warns of that; a file in
memory it copies before it sends the first byte. Pieces of the same memory are copied by the system alone. What always
holds: its length is told before it is sent. Who calls it: the writer of a node. It must not know: what is in it.
"""

from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter

PIECE_BYTES = 256 * 1024
"""What is handed to the system at once: about as much as it takes of a connection without waiting."""


class PostBody(Payload):
    """One body; sent once.

    Args:
        body: its bytes, which must not change.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._body = body
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return it as text; only the library's own messages need it."""
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it; between two pieces everything else has its turn while the connection is full."""
        whole = memoryview(self._body)
        for at in range(0, len(whole), PIECE_BYTES):
            await writer.write(whole[at : at + PIECE_BYTES])
