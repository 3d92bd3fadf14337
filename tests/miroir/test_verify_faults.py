"""What a verification has found, in words."""

from miroir.comparison import Comparison, FaultyIds
from miroir.verify import ReplicaReport, StrayReport, VerifyReport
from miroir.verify_faults import fault_lines
from schemas.ids import IndexUid, NodeId, ShardId

FILMS = IndexUid("films")
EQUAL = Comparison(5)


def make_replica(node: str, found: Comparison = EQUAL, error: str = "") -> ReplicaReport:
    """Return what was found of one copy."""
    return ReplicaReport(FILMS, ShardId(0), NodeId(node), found, error)


def lines(*replicas: ReplicaReport, strays: tuple[StrayReport, ...] = ()) -> list[str]:
    """Return what is said of these."""
    return list(fault_lines(VerifyReport(replicas, strays)))


def test_faults_none_are_no_words() -> None:
    """Where all is equal nothing is to be done."""
    assert lines(make_replica("n1"), make_replica("n2")) == []


def test_faults_of_a_copy_are_words_with_its_cure() -> None:
    """How many of each kind, the first of them by name, and the command that makes the copy anew."""
    found = Comparison(5, FaultyIds(1, ("100006",)), FaultyIds(1200, ("1", "2")), FaultyIds(2, ("3", "4")))

    fault, cure = lines(make_replica("n1"), make_replica("n2", found))

    assert fault.split(": ", 1)[1].split("; ") == [
        "1 document of the log missing: 100006",
        "1,200 documents not in the log: 1, 2 …",
        "2 documents not what the log says: 3, 4",
    ]
    assert fault.startswith("films shard 0 on n2: ")
    assert cure == "what to do: `miroir node rebuild n2` makes its copies anew from the log"


def test_faults_on_two_nodes_are_cured_one_after_the_other() -> None:
    """Made anew at once, nobody would have a copy to read."""
    wrong = Comparison(5, FaultyIds(1, ("7",)))

    _, stray, first, second = lines(make_replica("n2", wrong), strays=(StrayReport(FILMS, NodeId("n1"), 1),))

    assert stray == "films on n1: 1 document of no shard placed there"
    assert first.startswith("what to do: `miroir node rebuild n1` ")
    assert second.startswith("then: `miroir node rebuild n2` ")


def test_faults_of_what_was_not_compared_have_their_own_words_alone() -> None:
    """A node that does not answer is not to be made anew for that."""
    said = lines(
        make_replica("n1", Comparison(0), "n1: no answer"), strays=(StrayReport(FILMS, NodeId("n1"), 0, "no"),)
    )

    assert said == ["films shard 0 on n1: n1: no answer", "films on n1: no"]
