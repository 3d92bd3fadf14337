"""Where a command's settings come from: the environment, the file it names, or the local stack beside it.

What always holds: the environment wins over a file. Who calls it: the commands and the local stack. It must not know:
what a setting means.
"""

from collections.abc import Mapping
from pathlib import Path

from miroir.stack_state import SETTINGS_FILE
from schemas.config import Settings
from streams.process.environment import read_settings


def load_settings(environment: Mapping[str, str], directory: Path | None = None) -> Settings:
    """Return the settings of the environment over those of a file.

    Args:
        environment: the process's.
        directory: of a local stack, whose settings are the file where ``MIROIR_CONFIG`` names none.

    Raises:
        ConfigurationError: a setting is not known or not what it should be, or the file cannot be read.
    """
    return read_settings(environment, None if directory is None else directory / SETTINGS_FILE)
