"""``miroir plan``, beside a stack that runs."""

import re
from pathlib import Path

import pytest

from tests.miroir.local_stack import LocalStack, run_miroir
from tests.miroir.stranger import stranger


def test_plan_of_a_drain_names_who_takes_over(local_stack: LocalStack) -> None:
    """Copies leave the drained node only, and none are made on it."""
    local_stack.run("index", "create", "planned", "--primary-key", "id", "--shards", "6")

    found = local_stack.run("plan", "drain", "node-1", "--json").json

    assert len(found["begin"]) == len(found["leave"]) > 0
    assert "node-1" not in {copy["node"] for copy in found["begin"]}
    assert found["copies"] >= 12


def test_plan_prints_the_numbers_and_changes_nothing(local_stack: LocalStack) -> None:
    """For people: copies to make and to drop, by index and node, and their part of all."""
    local_stack.run("index", "create", "pondered", "--primary-key", "id", "--shards", "4", "--replication", "1")
    before = wanted(local_stack)

    printed = local_stack.run("plan", "index", "pondered", "--replication", "2").out
    made = len(local_stack.run("plan", "index", "pondered", "--replication", "2", "--json").json["begin"])

    assert made >= 4
    assert re.search(rf"^{made} of \d+ copies would be made", printed, re.MULTILINE)
    assert "pondered" in printed
    assert wanted(local_stack) == before


def wanted(local_stack: LocalStack) -> list[list[str]]:
    """Return the nodes on which each shard of the index is wanted."""
    return [row["wanted"] for row in local_stack.run("shards", "--index", "pondered", "--json").json]


def test_plan_of_what_would_be_refused_warns(local_stack: LocalStack) -> None:
    """Nothing would move, since nothing would be done: the numbers alone would look well."""
    local_stack.run("index", "create", "everywhere", "--primary-key", "id", "--shards", "2", "--replication", "3")

    ran = local_stack.run("plan", "drain", "node-1", code=1)
    local_stack.run("index", "delete", "everywhere", "--yes")

    assert "it would be refused: index 'everywhere': 3 copies need as many nodes, there are 2" in " ".join(
        ran.err.split()
    )


def test_plan_of_what_is_not_there_is_refused(local_stack: LocalStack) -> None:
    """With its name."""
    for command in (
        ("drain", "nobody"),
        ("remove", "nobody"),
        ("replace", "nobody", "other"),
        ("index", "nobody", "--replication", "2"),
    ):
        assert "nobody" in local_stack.run("plan", *command, code=1).err


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["for people", "JSON"])
@pytest.mark.parametrize(("fault", "code"), [("", 0), ("there are 2 nodes", 1)], ids=["would be done", "refused"])
def test_plan_tells_by_its_exit_code_what_would_be_refused(
    tmp_path: Path, form: tuple[str, ...], fault: str, code: int
) -> None:
    """A script asks first, and goes on or not."""
    with stranger({"/_miroir/plan": (200, {"begin": [], "leave": [], "copies": 4, "fault": fault})}) as url:
        ran = run_miroir("plan", "drain", "node-1", *form, "--url", url, directory=tmp_path)

    assert ran.code == code
    assert fault in ran.out + ran.err
    assert ran.out
