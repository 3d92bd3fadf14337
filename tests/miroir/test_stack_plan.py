"""The commands of the local stack."""

import sys
import tomllib
from pathlib import Path

import pytest

from miroir.broker import SESSION_TIMEOUT_S
from miroir.stack_plan import (
    StackPlan,
    build_settings_file,
    is_embedded_log,
    log_directory_name,
    node_command,
    query_command,
    stack_environment,
    stack_settings,
    worker_command,
)
from schemas.config import parse_settings
from schemas.ids import NodeId

SECRET = "a secret of sixteen bytes"
GIVEN = {"PATH": "/bin", "MEILI_DB_PATH": "/mine", "MIROIR_LOG_LEVEL": "debug"}
EMBEDDED = StackPlan(Path("/state"))
REAL = StackPlan(Path("/state"), kafka="kafka:9092", node_binary=Path("/bin/meilisearch"))


@pytest.mark.parametrize("plan", [EMBEDDED, REAL], ids=["embedded", "real"])
def test_commands_secrets_stand_in_no_arguments(plan: StackPlan) -> None:
    """Arguments can be read by everybody on the machine: no key is among them."""
    settings = stack_settings(plan, "127.0.0.1:9", node_master_key=SECRET, port=7)
    environment = stack_environment(GIVEN, settings)
    commands = [
        node_command(plan, NodeId("node-1"), directory=Path("/d"), port=1, master_key=SECRET, given=GIVEN),
        worker_command(plan, "worker-1", port=2, environment=environment),
        query_command(plan, environment=environment),
    ]

    assert not any(SECRET in argument for command in commands for argument in command.argv)
    assert all(SECRET in command.environment.values() for command in commands)


def test_node_command_users_meilisearch_settings_are_left_out() -> None:
    """The user's own Meilisearch and our Kafka are no business of a node's."""
    command = node_command(EMBEDDED, NodeId("node-1"), directory=Path("/d"), port=1, master_key=SECRET, given=GIVEN)

    assert command.environment == {"PATH": "/bin", "MEILI_MASTER_KEY": SECRET}


def test_node_command_real_and_embedded_have_equal_flags() -> None:
    """Only the program differs; its data is in its own directory, on loopback, with bounded memory."""
    embedded, real = (
        node_command(plan, NodeId("node-1"), directory=Path("/d"), port=1, master_key=SECRET, given=GIVEN)
        for plan in (EMBEDDED, REAL)
    )

    assert embedded.argv[:3] == [sys.executable, "-m", "miroir.node"]
    assert real.argv[0] == "/bin/meilisearch"
    assert list(embedded.argv[3:]) == list(real.argv[1:])
    assert "--max-indexing-memory" in real.argv
    assert "127.0.0.1:1" in real.argv
    assert real.directory == Path("/d")


def test_stack_settings_embedded_broker_has_no_transactions() -> None:
    """The embedded broker lacks producer ids; a real Kafka keeps every default."""
    embedded = stack_settings(EMBEDDED, "127.0.0.1:9", node_master_key=SECRET, port=7)
    real = stack_settings(REAL, "kafka:9092", node_master_key=SECRET, port=7)

    assert embedded["kafka_idempotence"] is False
    assert embedded["kafka_transactions"] is False
    assert embedded["kafka_replication_factor"] == 1
    assert embedded["kafka_session_timeout_s"] == SESSION_TIMEOUT_S
    assert not {name for name in real if name.startswith("kafka_")}


def test_stack_environment_and_file_parse_to_equal_settings() -> None:
    """Processes and the commands beside them read the same."""
    settings = stack_settings(EMBEDDED, "127.0.0.1:9", node_master_key='quote " and \\ backslash', port=7)

    from_environment = parse_settings(stack_environment({}, settings))
    from_file = parse_settings({}, tomllib.loads(build_settings_file(settings).decode()))

    assert from_environment == from_file
    assert from_environment.http_port == 7


@pytest.mark.parametrize(
    ("cluster", "topic", "name"),
    [
        ("embedded-1234", "", "embedded-1234"),
        ("bWlyb2ly_LXRlc3Rz", "0a-1b", "bWlyb2ly_LXRlc3Rz-0a-1b"),
        ("../up", "x/y", "___up-x_y"),
    ],
    ids=["embedded", "kafka", "hostile"],
)
def test_log_directory_name_has_both_ids_and_no_path(cluster: str, topic: str, name: str) -> None:
    """Another log has another directory, and no id leads out of it."""
    assert log_directory_name(cluster, topic) == name
    assert is_embedded_log(name) == name.startswith("embedded")
