"""The log's writer of a query service that does not read it any more: it refuses.

What always holds: while folding has stopped nothing is appended, since nobody here would learn what became of it: the
index that a post goes to may be another by now, and its task would never end. Who calls it: the writes, in the place
of the log's own writer. It must not know: what is appended.
"""

from collections.abc import Callable, Sequence

from schemas.errors import InvalidRequestError
from schemas.ids import Offset
from streams.log import Append, LogWriter


class GuardedWriter:
    """``LogWriter`` over another one, as long as the log is read.

    Args:
        writer: appends; closed by whoever made it.
        stopped: why the log is not read any more; empty while it is.
    """

    def __init__(self, writer: LogWriter, stopped: Callable[[], str]) -> None:
        self._writer = writer
        self._stopped = stopped

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append all; see ``LogWriter``.

        Raises:
            InvalidRequestError: the log is not read any more; nothing was appended.
        """
        require_folding(self._stopped())
        return await self._writer.append(appends)

    async def close(self) -> None:
        """Leave the other one open: it is not ours."""


def require_folding(stopped: str) -> None:
    """Raise where folding has stopped.

    Args:
        stopped: why; empty while it has not.

    Raises:
        InvalidRequestError: with the reason.
    """
    if stopped:
        message = f"this query service has stopped reading the log: {stopped}"
        raise InvalidRequestError("miroir_unavailable", message)
