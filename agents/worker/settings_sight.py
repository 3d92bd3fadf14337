"""Which settings the indexes of one node were last seen to have.

What always holds: a node is asked only until it has the version that is wanted. Who calls it: the feeder of a node,
which posts nothing before. It must not know: what the settings are.
"""

from collections.abc import Awaitable, Callable

from schemas.ids import Incarnation, NodeIndexUid, SettingsVersion

NEVER = SettingsVersion(-1)


class SettingsSight:
    """One node's.

    Args:
        ask: asks the node for the version of an index's settings; None where it has none.
    """

    def __init__(self, ask: Callable[[NodeIndexUid], Awaitable[SettingsVersion | None]]) -> None:
        self._ask = ask
        self._versions: dict[Incarnation, SettingsVersion] = {}

    def version(self, incarnation: Incarnation) -> SettingsVersion:
        """Return what was last seen; -1 for none."""
        return self._versions.get(incarnation, NEVER)

    def forget(self, incarnation: Incarnation) -> None:
        """Ask again about this index."""
        self._versions.pop(incarnation, None)

    def forget_all(self) -> None:
        """Ask again about every index: the node may have another disk."""
        self._versions.clear()

    async def look(self, index: NodeIndexUid, incarnation: Incarnation) -> bool:
        """Ask the node, and return whether there is news.

        Raises:
            NodeError: it does not answer.
        """
        before = self.version(incarnation)
        seen = await self._ask(index)
        self._versions[incarnation] = NEVER if seen is None else seen
        return self.version(incarnation) != before
