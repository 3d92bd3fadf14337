"""Topics: names that fit Kafka, policies that lose nothing."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given

from schemas.ids import INDEX_UID_BYTES_MAX, Incarnation, IndexUid
from streams.log import TopicFound, TopicSpec
from streams.topics import TOMBSTONES_KEPT_MS, docs_topic, docs_topic_name, own_topics, tombstones_kept_ms, topic_faults
from tests.strategies import incarnations, index_uids

KAFKA_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
LONGEST = IndexUid("a" * INDEX_UID_BYTES_MAX)


@given(index_uids, incarnations)
@example(LONGEST, Incarnation(2**63 - 1))
def test_docs_topic_names_fit_kafka_and_tell_generations_apart(uid: IndexUid, incarnation: Incarnation) -> None:
    """Both forms are legal, and none can be another index's."""
    plain, taken = (docs_topic_name(uid, incarnation, taken=taken) for taken in (False, True))

    assert KAFKA_NAME.fullmatch(plain)
    assert KAFKA_NAME.fullmatch(taken)
    assert plain == f"miroir.docs.{uid}"
    assert taken == f"miroir.gen.{incarnation}.{uid}"


def test_own_topics_have_one_partition_each() -> None:
    """Their order is what the folds and task uids rest on."""
    assert {spec.name: spec.partitions for spec in own_topics()} == {
        "miroir.requests": 1,
        "miroir.cluster": 1,
        "miroir.progress": 1,
        "miroir.tasks": 1,
        "miroir.dead": 1,
    }


@pytest.mark.parametrize("name", ["miroir.cluster", "miroir.progress", "miroir.dead"])
def test_state_is_compacted_and_never_trimmed(name: str) -> None:
    """A fold from the beginning must give the whole state after years."""
    configs = next(spec.configs for spec in own_topics() if spec.name == name)

    assert configs["cleanup.policy"] == "compact"
    assert "retention.ms" not in configs


def test_docs_topic_keeps_the_last_write_of_each_key_and_tombstones_for_long() -> None:
    """A replica that was away for less than the retention is caught up, not rebuilt."""
    spec = docs_topic("miroir.docs.films", 12)

    assert (spec.name, spec.partitions) == ("miroir.docs.films", 12)
    assert spec.configs["cleanup.policy"] == "compact"
    assert int(spec.configs["delete.retention.ms"]) == TOMBSTONES_KEPT_MS == 30 * 24 * 3600 * 1000
    assert "retention.ms" not in spec.configs


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({"max.message.bytes": "8388608"}, "8388608", id="raised"),
        pytest.param({"max.message.bytes": "1048588"}, None, id="as Kafka has it"),
        pytest.param({"max.message.bytes": "1000"}, None, id="lowered"),
        pytest.param({}, None, id="not told"),
    ],
)
def test_docs_topic_takes_records_as_large_as_one_that_it_is_like(told: dict[str, str], expected: str | None) -> None:
    """A limit that somebody has raised, and no other: the broker's own may change."""
    like = TopicFound("miroir.docs.films", 12, 1, told)

    configs = docs_topic("miroir.gen.7.films", 12, like=like).configs

    assert configs.get("max.message.bytes") == expected
    assert configs["cleanup.policy"] == "compact"


WANTED = docs_topic("miroir.docs.films", 12)


def make_found(spec: TopicSpec = WANTED) -> TopicFound:
    """Return the topic as a broker would describe it."""
    return TopicFound(spec.name, spec.partitions, 3, spec.configs)


@pytest.mark.parametrize("spec", [*own_topics(), WANTED], ids=lambda spec: spec.name)
def test_topic_as_we_make_it_has_no_fault(spec: TopicSpec) -> None:
    """The plan and the check agree."""
    assert topic_faults(spec, make_found(spec)) == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(replace(make_found(), partitions=6), ["12 partitions expected", "6 found"], id="partitions"),
        pytest.param(
            replace(make_found(), configs={"cleanup.policy": "delete"}),
            ["cleanup.policy=compact expected", "delete found", "kafka-configs --alter"],
            id="trimmed",
        ),
        pytest.param(
            replace(make_found(), configs={"cleanup.policy": "compact,delete"}),
            ["cleanup.policy=compact expected", "compact,delete found"],
            id="compacted and trimmed",
        ),
    ],
)
def test_fault_of_a_topic_says_what_and_how_to_cure_it(found: TopicFound, words: list[str]) -> None:
    """An operator can act on the sentence alone."""
    (fault,) = topic_faults(WANTED, found)

    assert fault.startswith("topic miroir.docs.films: ")
    assert all(word in fault for word in words)


@pytest.mark.parametrize(
    ("configs", "kept_ms"),
    [({}, TOMBSTONES_KEPT_MS), ({"delete.retention.ms": "86400000"}, 86_400_000), (WANTED.configs, TOMBSTONES_KEPT_MS)],
    ids=["hidden", "a day", "ours"],
)
def test_tombstones_are_kept_as_long_as_the_topic_says(configs: dict[str, str], kept_ms: int) -> None:
    """A topic of the user's own may forget deletes sooner."""
    assert tombstones_kept_ms(WANTED.name, replace(make_found(), configs=configs)) == kept_ms


@pytest.mark.parametrize("found", [make_found(), None], ids=["hidden", "not found"])
def test_tombstones_of_a_topic_that_is_not_ours_are_kept_as_by_kafka_itself(found: TopicFound | None) -> None:
    """Whoever made it has hardly thought of copies that are away for a month."""
    hidden = None if found is None else replace(found, configs={})

    assert tombstones_kept_ms("orders", hidden) == 24 * 3600 * 1000


def test_every_fault_is_told_at_once() -> None:
    """Nobody likes to be told of the second after curing the first."""
    found = replace(make_found(), partitions=1, configs={"cleanup.policy": "delete"})

    assert len(topic_faults(WANTED, found)) == 2


def test_topic_whose_configuration_is_hidden_is_not_blamed() -> None:
    """Without the permission to describe it nothing is known."""
    assert topic_faults(WANTED, replace(make_found(), configs={})) == ()
