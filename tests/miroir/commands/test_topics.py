"""``miroir topics`` on a running stack."""

from pathlib import Path

from miroir.ports import HOST, free_port
from miroir.stack_state import SETTINGS_FILE
from tests.miroir.local_stack import LocalStack, run_miroir

DOCS = "miroir.docs.planned"


def test_topics_plan_names_own_and_planned_topics(local_stack: LocalStack) -> None:
    """The plan has miroir's own topics, those of its indexes, and those asked for."""
    names = {each["name"] for each in local_stack.run("topics", "plan", "--index", "to-come", "--json").json}

    assert {"miroir.cluster", "miroir.requests", "miroir.docs.to-come"} <= names


def test_topics_plan_names_a_topic_once(local_stack: LocalStack) -> None:
    """An index that is there keeps the partitions that it has, whatever is asked for of those to come."""
    local_stack.run("index", "create", "planned", "--primary-key", "id", "--shards", "3")
    asked = ("--index", "planned", "--topic", "spare", "--topic", "spare", "--shards", "7")

    topics = local_stack.run("topics", "plan", *asked, "--json").json

    partitions = [(each["name"], each["partitions"]) for each in topics if each["name"] in {DOCS, "spare"}]
    assert sorted(partitions) == [(DOCS, 3), ("spare", 7)]
    local_stack.run("index", "delete", "planned", "--yes")


def test_topics_plan_prints_the_command_for_a_topic_of_any_name(tmp_path: Path) -> None:
    """An index may be made on a topic that has not the name of one; Kafka need not answer."""
    (tmp_path / SETTINGS_FILE).write_text(f'kafka = "{HOST}:{free_port()}"\n')

    ran = run_miroir("topics", "plan", "--topic", "customers", "--shards", "3", directory=tmp_path)

    (command,) = [line for line in ran.out.splitlines() if "--topic customers " in line]
    assert "--partitions 3 " in command
    assert "cleanup.policy=compact" in command
