"""A node is asked for its settings' version, and what it says is remembered until it may be another disk."""

from agents.worker.settings_sight import NEVER, SettingsSight
from schemas.ids import Incarnation, IndexUid, NodeIndexUid, SettingsVersion, node_index_uid

ONE, TWO = Incarnation(1), Incarnation(2)


def uid_of(incarnation: Incarnation) -> NodeIndexUid:
    """Return the index's name on the node."""
    return node_index_uid(IndexUid("films"), incarnation)


class Stand:
    """A node whose indexes have these versions."""

    def __init__(self) -> None:
        self.versions: dict[NodeIndexUid, SettingsVersion] = {uid_of(ONE): SettingsVersion(4)}
        self.sight = SettingsSight(self._ask)

    async def _ask(self, index: NodeIndexUid) -> SettingsVersion | None:
        return self.versions.get(index)


async def test_look_tells_whether_there_is_news() -> None:
    """The first answer is, the same answer is not, a later version is."""
    stand = Stand()
    assert stand.sight.version(ONE) == NEVER
    assert await stand.sight.look(uid_of(ONE), ONE)
    assert not await stand.sight.look(uid_of(ONE), ONE)
    stand.versions[uid_of(ONE)] = SettingsVersion(5)
    assert await stand.sight.look(uid_of(ONE), ONE)
    assert stand.sight.version(ONE) == 5


async def test_index_that_is_not_there_has_no_version() -> None:
    """Nothing may be posted to it."""
    stand = Stand()
    assert not await stand.sight.look(uid_of(TWO), TWO)
    assert stand.sight.version(TWO) == NEVER


async def test_forgotten_versions_are_asked_for_again() -> None:
    """One index's after a failed task, all of them with another disk."""
    stand = Stand()
    await stand.sight.look(uid_of(ONE), ONE)
    stand.sight.forget(ONE)
    assert stand.sight.version(ONE) == NEVER

    await stand.sight.look(uid_of(ONE), ONE)
    stand.sight.forget_all()
    assert stand.sight.version(ONE) == NEVER
