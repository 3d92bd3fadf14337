"""The node against a recorded conversation with a real one."""

from pathlib import Path

import pytest

from bench.parity_conversation import replay
from bench.parity_fixtures import FIXTURES, read_conversation
from tests.miroir.node.process import NodeProcess

EQUAL_SHARE_MIN = 0.97


@pytest.mark.slow
@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recordings at {FIXTURES}")
def test_conversation_replayed_equals_recording(tmp_path: Path) -> None:
    """At least 97 % of the recorded steps get the recorded status, body and task."""
    conversation = read_conversation(FIXTURES / "conversation.json.gz")

    with NodeProcess(tmp_path, master_key=conversation.master_key) as node:
        differing = list(replay(node, conversation.steps, conversation.master_key))

    assert 1 - len(differing) / len(conversation.steps) >= EQUAL_SHARE_MIN, "\n".join(differing)
