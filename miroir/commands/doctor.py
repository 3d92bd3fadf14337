"""``miroir doctor``: looks at settings, Kafka and nodes, and says what to do."""

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from miroir.commands.terminal import DIRECTORY, FAILED, Directory, Json, out, print_json, settings_of
from miroir.doctor import examine
from miroir.findings import Finding, Level
from schemas.config import PREFIX, Settings, parse_settings
from schemas.errors import ConfigurationError

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}


def doctor(
    *,
    settings: Annotated[bool, typer.Option("--settings", help="List every setting with its value and origin.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Examine settings, Kafka and nodes; exit code 1 where there is a fault."""
    if settings:
        _list_settings(directory, as_json=as_json)
        return
    known = settings_of(directory)
    findings = asyncio.run(examine(known))
    if as_json:
        print_json([asdict(each) for each in findings])
    else:
        out.print(_findings_table(findings))
    if any(each.level is Level.FAULT for each in findings):
        raise typer.Exit(FAILED)


def describe_settings(settings: Settings, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Return every setting with its value, where it comes from and what it means; secrets are hidden."""
    described = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        variable = f"{PREFIX}{name.upper()}"
        given = "file" if name in settings.model_fields_set else "default"
        described.append(
            {
                "name": name,
                "variable": variable,
                "value": _hidden(value) if isinstance(value, SecretStr) else value,
                "origin": "environment" if variable in environment else given,
                "description": field.description,
            }
        )
    return described


def _list_settings(directory: Path, *, as_json: bool) -> None:
    """Print every setting; the defaults where those that are set cannot be read: who corrects them needs the names.

    Raises:
        ConfigurationError: after that, what is wrong with them.
    """
    try:
        described = describe_settings(settings_of(directory), dict(os.environ))
    except ConfigurationError:
        title = "all settings with their defaults; those of the file and the environment cannot be read"
        _show_settings(describe_settings(parse_settings({}), {}), title, as_json=as_json)
        raise
    _show_settings(described, f"settings of {directory} and the environment", as_json=as_json)


def _show_settings(described: list[dict[str, Any]], title: str, *, as_json: bool) -> None:
    if as_json:
        print_json(described)
        return
    table = Table(title=title)
    for name in ("setting", "value", "from", "meaning"):
        table.add_column(name, overflow="fold")
    for each in described:
        table.add_row(each["variable"], escape(_written(each["value"])), each["origin"], escape(each["description"]))
    out.print(table)


def _findings_table(findings: list[Finding]) -> Table:
    table = Table()
    for name in ("", "subject", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for each in findings:
        level = f"[{_COLOURS[each.level]}]{each.level}[/]"
        table.add_row(level, escape(each.subject), escape(each.found), escape(each.cure))
    return table


def _hidden(value: SecretStr) -> str:
    return "(set)" if value.get_secret_value() else "(empty)"


def _written(value: object) -> str:
    """Return a value as it is written in the environment and in the file."""
    if value is None:
        return "(unset)"
    return str(value).lower() if isinstance(value, bool) else str(value)
