"""``miroir topics`` on a running stack."""

from pathlib import Path

from miroir.ports import HOST, free_port
from miroir.stack_state import SETTINGS_FILE
from tests.miroir.local_stack import LocalStack, run_miroir


def test_topics_plan_names_own_and_planned_topics(local_stack: LocalStack) -> None:
    """The plan has miroir's own topics, those of its indexes, and those asked for."""
    names = {each["name"] for each in local_stack.run("topics", "plan", "--index", "to-come", "--json").json}

    assert {"miroir.cluster", "miroir.requests", "miroir.docs.to-come"} <= names


def test_topics_plan_prints_the_command_for_a_topic_of_any_name(tmp_path: Path) -> None:
    """An index may be made on a topic that has not the name of one; Kafka need not answer."""
    (tmp_path / SETTINGS_FILE).write_text(f'kafka = "{HOST}:{free_port()}"\n')

    ran = run_miroir("topics", "plan", "--topic", "customers", "--shards", "3", directory=tmp_path)

    (command,) = [line for line in ran.out.splitlines() if "--topic customers " in line]
    assert "--partitions 3 " in command
    assert "cleanup.policy=compact" in command
