"""Which file a command's settings come from."""

from pathlib import Path

import pytest

from miroir.settings_source import load_settings
from miroir.stack_state import SETTINGS_FILE
from schemas.errors import ConfigurationError


def test_load_settings_local_stack_is_read(tmp_path: Path) -> None:
    """Beside a local stack its settings count, and the environment wins over them."""
    (tmp_path / SETTINGS_FILE).write_text('kafka = "stack:1"\nhttp_port = 7\n')

    settings = load_settings({"MIROIR_HTTP_PORT": "8"}, tmp_path)

    assert settings.kafka == "stack:1"
    assert settings.http_port == 8


def test_load_settings_named_file_wins_over_local_stack(tmp_path: Path) -> None:
    """The file that the environment names is meant."""
    (tmp_path / SETTINGS_FILE).write_text('kafka = "stack:1"\n')
    named = tmp_path / "named.toml"
    named.write_text('kafka = "named:1"\n')

    assert load_settings({"MIROIR_CONFIG": str(named)}, tmp_path).kafka == "named:1"


def test_load_settings_without_any_are_defaults(tmp_path: Path) -> None:
    """Without file and environment the defaults count."""
    assert load_settings({}, tmp_path) == load_settings({})


def test_load_settings_that_cannot_be_asked_for_are_refused() -> None:
    """A directory whose file cannot even be looked for is named."""
    with pytest.raises(ConfigurationError, match="xxx"):
        load_settings({}, Path("x" * 300))


@pytest.mark.parametrize("text", [None, "kafka = ", "nobody = 1"], ids=["missing", "no TOML", "unknown key"])
def test_load_settings_bad_file_is_refused(tmp_path: Path, text: str | None) -> None:
    """A file that is not there, not TOML, or has an unknown key is named."""
    named = tmp_path / "named.toml"
    if text is not None:
        named.write_text(text)

    with pytest.raises(ConfigurationError):
        load_settings({"MIROIR_CONFIG": str(named)})
