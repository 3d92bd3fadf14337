"""The settings of the process: its environment, and the file that it names."""

from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from streams.process.environment import read_settings


def test_settings_come_from_environment_and_file(tmp_path: Path) -> None:
    """The file that the environment names is read, and the environment wins."""
    path = tmp_path / "miroir.toml"
    path.write_text('http_port = 1234\nlog_level = "debug"\n')

    settings = read_settings({"MIROIR_CONFIG": str(path), "MIROIR_HTTP_PORT": "99"})

    assert (settings.http_port, settings.log_level) == (99, "debug")


@pytest.mark.parametrize("content", [None, "= nonsense"], ids=["missing", "no TOML"])
def test_settings_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    """The error names the file."""
    path = tmp_path / "miroir.toml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"miroir\.toml"):
        read_settings({"MIROIR_CONFIG": str(path)})


def test_file_beside_counts_only_where_none_is_named(tmp_path: Path) -> None:
    """A local stack's own file stands in, and need not be there."""
    beside = tmp_path / "beside.toml"
    assert read_settings({}, beside).http_port == 7700

    beside.write_text("http_port = 1\n")

    assert read_settings({}, beside).http_port == 1
