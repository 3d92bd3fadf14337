"""What commands share: which query service is meant, and how JSON is printed."""

from pathlib import Path

import orjson
import pytest

from miroir.commands.terminal import connect, print_json, settings_of
from miroir.stack_state import SETTINGS_FILE, Phase, StackState, write_state


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this process's own settings reaches a test."""
    for name in ("MIROIR_KAFKA", "MIROIR_HTTP_PORT", "MIROIR_CONFIG"):
        monkeypatch.delenv(name, raising=False)


async def test_connect_without_a_stack_takes_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing runs here, the settings say where the query service is."""
    monkeypatch.setenv("MIROIR_HTTP_PORT", "7711")

    async with connect(tmp_path, None) as client:
        assert client.url == "http://127.0.0.1:7711"


async def test_connect_beside_a_stack_takes_its_service_unless_told_otherwise(tmp_path: Path) -> None:
    """The stack's own port is its own affair; ``--url`` wins over it."""
    write_state(tmp_path, StackState(Phase.READY, url="http://127.0.0.1:7722"))

    async with connect(tmp_path, None) as beside, connect(tmp_path, "http://other:1/") as told:
        assert (beside.url, told.url) == ("http://127.0.0.1:7722", "http://other:1")


def test_settings_of_a_stack_yield_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack's file counts where the environment says nothing."""
    (tmp_path / SETTINGS_FILE).write_text('kafka = "file:1"\nhttp_port = 5\n')
    monkeypatch.setenv("MIROIR_HTTP_PORT", "6")

    settings = settings_of(tmp_path)

    assert (settings.kafka, settings.http_port) == ("file:1", 6)


def test_json_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A script reads one value, whatever its keys are."""
    print_json({1: ["é"]})

    printed = capsys.readouterr()
    assert orjson.loads(printed.out) == {"1": ["é"]}
    assert printed.err == ""
