"""The settings of this process: its environment, and the file that the environment names.

What always holds: the environment wins over the file. Who calls it: the ``main`` of each process. It must not know: any
setting.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from schemas.config import FILE_KEY, Settings, parse_settings
from schemas.errors import ConfigurationError


def read_settings(environment: Mapping[str, str], beside: Path | None = None) -> Settings:
    """Return the settings of the environment over those of a file.

    Args:
        environment: the process's.
        beside: the file where ``MIROIR_CONFIG`` names none; it need not be there.

    Raises:
        ConfigurationError: a setting is not known or not what it should be, or the file cannot be read.
    """
    named = environment.get(FILE_KEY)
    path = Path(named) if named else beside
    if path is None:
        return parse_settings(environment)
    try:
        # Also to ask may be refused.
        if not named and not path.exists():
            return parse_settings(environment)
        return parse_settings(environment, tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(FILE_KEY, f"{path}: {error}") from error
