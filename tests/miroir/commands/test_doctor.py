"""``miroir doctor`` on a running stack."""

from pathlib import Path

from miroir.settings_source import load_settings
from miroir.stack_state import SETTINGS_FILE
from schemas.config import Settings
from tests.miroir.local_stack import LocalStack, run_miroir


def test_doctor_finds_no_fault_and_hides_secrets(local_stack: LocalStack) -> None:
    """A stack that runs has no fault, and no secret is printed."""
    settings = load_settings({}, local_stack.directory)
    secret = settings.node_master_key.get_secret_value()

    findings = local_stack.run("doctor", "--json")
    listed = local_stack.run("doctor", "--settings", "--json")

    assert {each["level"] for each in findings.json} <= {"ok", "warning"}
    assert secret not in findings.out + listed.out
    origins = {each["name"]: each["origin"] for each in listed.json}
    assert origins["kafka"] == "file"
    assert origins["kafka_group"] == "default"


def test_doctor_shows_settings_as_they_are_written(tmp_path: Path) -> None:
    """What is read there may be set so; a script gets JSON's own values."""
    (tmp_path / SETTINGS_FILE).write_text("kafka_idempotence = false\n")

    shown = run_miroir("doctor", "--settings", directory=tmp_path).out
    listed = run_miroir("doctor", "--settings", "--json", directory=tmp_path).json

    cells = {row[1].strip(): row[2].strip() for row in (line.split("│") for line in shown.splitlines()) if row[2:]}
    assert cells["MIROIR_KAFKA_IDEMPOTENCE"] == "false"
    assert cells["MIROIR_KAFKA_CREATE_TOPICS"] == "true"
    assert cells["MIROIR_KAFKA_SASL_USERNAME"] == "(unset)"
    values = {each["name"]: each["value"] for each in listed}
    assert (values["kafka_idempotence"], values["kafka_sasl_username"]) == (False, None)


def test_doctor_lists_settings_though_those_that_are_set_are_wrong(tmp_path: Path) -> None:
    """A message about an unknown key sends one here for the names: they are listed, and the fault is told again."""
    (tmp_path / SETTINGS_FILE).write_text('kafke = "127.0.0.1:9"\n')

    listed = run_miroir("doctor", "--settings", "--json", directory=tmp_path)
    shown = run_miroir("doctor", "--settings", directory=tmp_path)

    assert (listed.code, shown.code) == (1, 1)
    assert [each["name"] for each in listed.json] == list(Settings.model_fields)
    assert {each["origin"] for each in listed.json} == {"default"}
    assert "MIROIR_KAFKA_GROUP" in shown.out
    assert "setting kafke: is not known" in listed.err
    assert "setting kafke: is not known" in shown.err
