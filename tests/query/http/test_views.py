"""Folding the log in the background, through its failures."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from query.http.views import Views
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key
from schemas.errors import InvalidInputError
from schemas.events import IndexRecord, NodeRecord, build_key, build_value
from schemas.ids import Incarnation, IndexUid, NodeId, Offset, Partition, SettingsVersion, TaskUid
from schemas.tasks import TaskRecord, build_task
from streams.log import Append, Bounds, LogBatch, TopicPartition
from streams.topics import CLUSTER, DEAD, PROGRESS, TASKS, own_topics
from tests.fakes.log import FakeLog, FakeLogReader


def _log() -> FakeLog:
    log = FakeLog()
    for spec in own_topics():
        log.create(spec)
    return log


def _put(log: FakeLog, name: str) -> None:
    record = NodeRecord(NodeId(name), f"http://{name}")
    log.append(Append(CLUSTER, Partition(0), build_key(record).encode(), build_value(record)))


def _task() -> Append:
    return Append(TASKS, Partition(0), None, build_task(TaskRecord("indexCreation", IndexUid("films"), None, 0)))


def _views() -> Views:
    return Views(lag_records_max=10, away=frozenset)


async def _until(views: Views, name: str) -> None:
    assert await views.wait_for(lambda: True if NodeId(name) in views.topology.nodes else None, timeout_s=60.0)


async def test_views_are_ready_when_the_beginning_was_folded() -> None:
    """Ready means folded to where the log ended at the start; later records follow on."""
    log, views = _log(), _views()
    _put(log, "a")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(FakeLogReader(log)))
        assert await views.wait_for(lambda: views.is_ready or None, timeout_s=60.0)
        assert set(views.topology.nodes) == {"a"}
        _put(log, "b")
        await _until(views, "b")
        task.cancel()

    assert views.topology.epoch == 2


async def test_views_keep_what_they_have_while_the_log_is_away() -> None:
    """With the log away the last values stay; with it back folding goes on."""
    log, views = _log(), _views()
    _put(log, "a")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(FakeLogReader(log)))
        await _until(views, "a")
        log.away = True
        log.skip(TopicPartition(CLUSTER, Partition(0)))
        assert await views.wait_for(lambda: None if views.connected else True, timeout_s=60.0)
        assert set(views.topology.nodes) == {"a"}
        log.away = False
        _put(log, "b")
        await _until(views, "b")
        task.cancel()

    assert views.connected


@pytest.mark.parametrize("topic", [TASKS, DEAD])
async def test_views_are_ready_while_no_broker_leads_another_topic(topic: str) -> None:
    """Searches need cluster and progress only; what nobody leads is folded once somebody does."""
    log, views = _log(), _views()
    _put(log, "a")
    log.append(_task())
    log.leaderless.add(TopicPartition(topic, Partition(0)))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(FakeLogReader(log)))
        assert await views.wait_for(lambda: views.is_ready or None, timeout_s=60.0)
        _put(log, "b")
        await _until(views, "b")
        assert (views.connected, views.has_folded(topic)) == (True, False)
        log.leaderless.clear()
        assert await views.wait_for(lambda: views.has_folded(topic) or None, timeout_s=60.0)
        task.cancel()

    assert len(views.tasks) == 1


async def test_views_follow_the_others_where_a_topic_loses_its_leader_at_once() -> None:
    """Between the question where it begins and the first read of it."""
    log, views = _log(), _views()
    where = TopicPartition(TASKS, Partition(0))

    class Losing(FakeLogReader):
        async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
            found = await super().bounds(partitions)
            if where in partitions:
                log.leaderless.add(where)
            return found

    log.append(_task())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(Losing(log)))
        assert await views.wait_for(lambda: views.is_ready or None, timeout_s=60.0)
        assert not views.has_folded(TASKS)
        log.leaderless.clear()
        assert await views.wait_for(lambda: views.has_folded(TASKS) or None, timeout_s=60.0)
        task.cancel()


async def test_views_are_not_connected_while_no_broker_leads_any_topic() -> None:
    """Nothing was read of the log."""
    log, views = _log(), _views()
    log.leaderless |= {TopicPartition(topic, Partition(0)) for topic in (CLUSTER, PROGRESS, TASKS, DEAD)}
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(FakeLogReader(log)))
        assert await views.wait_for(lambda: views.is_ready or None, timeout_s=0.2) is None
        assert not views.connected
        log.leaderless.clear()
        assert await views.wait_for(lambda: views.is_ready or None, timeout_s=60.0)
        task.cancel()


async def test_views_of_another_log_begin_anew() -> None:
    """A cluster topic that was made anew is folded from its beginning, and nothing of the old one stays."""
    log, views = _log(), _views()
    for name in ("a", "b"):
        _put(log, name)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(FakeLogReader(log)))
        await _until(views, "b")
        log.delete(CLUSTER)
        for spec in own_topics():
            log.create(spec)
        _put(log, "c")
        await _until(views, "c")
        task.cancel()

    assert set(views.topology.nodes) == {"c"}


async def test_views_show_what_they_had_until_a_trimmed_log_is_folded_anew() -> None:
    """A topic that was trimmed beyond our position says nothing against what was read; all is replaced at once."""
    log, views = _log(), _views()
    shown: list[tuple[bool, set[str]]] = []

    class Watched(FakeLogReader):
        async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
            shown.append((views.is_ready, set(views.topology.nodes)))
            return await super().read(timeout_s=timeout_s, records_max=min(records_max, 1))

    for name in ("a", "b"):
        _put(log, name)
    log.append(_task())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(Watched(log)))
        assert await views.wait_for(lambda: views.has_folded(TASKS) or None, timeout_s=60.0)
        await _until(views, "b")
        shown.clear()
        log.append(_task())
        log.trim(TopicPartition(TASKS, Partition(0)), 2)
        _put(log, "c")
        await _until(views, "c")
        task.cancel()

    assert len(shown) > 3
    assert all(is_ready and names >= {"a", "b"} for is_ready, names in shown)
    assert (views.position(TASKS), len(views.tasks)) == (2, 0)


async def test_views_that_miss_records_before_they_are_ready_begin_anew() -> None:
    """Nothing that was half read is kept."""
    log, views = _log(), _views()
    for name in ("a", "b"):
        _put(log, name)

    class Trimming(FakeLogReader):
        async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
            if views.topology.nodes and not log.partition(where).beginning:
                log.trim(where, 2)
            return await super().read(timeout_s=timeout_s, records_max=min(records_max, 1))

    where = TopicPartition(CLUSTER, Partition(0))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(Trimming(log)))
        assert await views.wait_for(lambda: views.is_ready or None, timeout_s=60.0)
        task.cancel()

    assert (set(views.topology.nodes), views.position(CLUSTER)) == (set(), 2)


async def test_views_stop_loudly_at_a_record_they_cannot_read() -> None:
    """A newer writer's record must not be half understood."""
    log, views = _log(), _views()
    log.append(Append(CLUSTER, Partition(0), b"node/a", b'{"id":"a","new":1}'))

    with pytest.raises(InvalidInputError, match=f"record {CLUSTER}/0/0: NodeRecord"):
        await views.run(FakeLogReader(log))

    assert (views.stopped, views.connected) == (f"record {CLUSTER}/0/0: NodeRecord: url: Field required", False)


async def test_views_tell_that_a_mistake_of_ours_has_stopped_them() -> None:
    """Whatever ends the folding, nobody is to take what was folded for up to date."""
    views = _views()

    class Mistaken(FakeLogReader):
        async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
            raise KeyError(timeout_s, records_max)

    with pytest.raises(KeyError):
        await views.run(Mistaken(_log()))

    assert views.stopped.startswith("KeyError")


async def test_views_pass_over_what_stands_for_one_thing_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A task, a copy's progress or a letter that cannot be read is named, counted, and stops nothing."""
    log, views = _log(), _views()
    films = IndexUid("films")
    letter = DeadLetter("t", Partition(0), Offset(7), films, Incarnation(3), "invalid_id", "", None, None, 0)
    bad = [
        Append(TASKS, Partition(0), None, b"no task"),
        Append(PROGRESS, Partition(0), b"\xff", b"no progress"),
        Append(DEAD, Partition(0), b"\xff", b"no letter"),
        Append(DEAD, Partition(0), None, build_dead_letter(letter)),
    ]
    for append in bad:
        log.append(append)
    log.append(_task())
    log.append(Append(DEAD, Partition(0), build_dead_letter_key(letter), build_dead_letter(letter)))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(views.run(FakeLogReader(log)))
        assert await views.wait_for(lambda: (len(views.tasks) and len(views.dead)) or None, timeout_s=60.0)
        _put(log, "a")
        await _until(views, "a")
        task.cancel()

    assert (views.stopped, views.connected) == ("", True)
    assert views.skipped == {TASKS: 1, PROGRESS: 1, DEAD: 2}
    assert views.tasks.get(TaskUid(0)) is None
    assert views.tasks.get(TaskUid(1)) is not None
    places = {record.__dict__.get("place") for record in caplog.records}
    assert places >= {f"{TASKS}/0/0", f"{PROGRESS}/0/0", f"{DEAD}/0/0", f"{DEAD}/0/1"}


async def test_waiting_gives_up_after_its_time() -> None:
    """What does not come is None."""
    views = _views()

    assert await views.wait_for(lambda: views.is_ready or None, timeout_s=0.0) is None


def test_rules_of_deleted_indexes_are_forgotten() -> None:
    """Whoever makes and deletes indexes all day does not fill the memory."""
    views = _views()
    for number in range(5):
        place = Incarnation(Offset(number))
        views.rules(IndexRecord(IndexUid(f"films{number}"), place, "t", 1, 1, SettingsVersion(0), 0, 0))

    assert list(views._rules) == ["films4"]
