"""``miroir doctor`` on a running stack."""

from miroir.settings_source import load_settings
from tests.miroir.local_stack import LocalStack


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
