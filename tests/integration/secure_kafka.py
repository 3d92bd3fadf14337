"""A real Apache Kafka as a company has it: encrypted, with users and permissions, on loopback.

Whoever speaks to its plain listener may do everything; on the other one a client needs a certificate, a user, and what
was granted to that user. Certificates are made by ``openssl`` for the one run.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from miroir.ports import free_port
from tests.integration.real_kafka import RealKafka, RealKafkaMissingError

USER = "miroir"
PASSWORD = "a-password-of-the-tests"
GRANT_S = 30.0

_PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},SASL_SSL://127.0.0.1:{secure_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secure_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={data}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={data}/client.crt
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class SecureKafka(RealKafka):
    """One broker; ``settings`` is how miroir reaches it as a user who may do nothing before ``grant``."""

    format_arguments = ("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.secure_port = free_port()
        for name in ("broker", "client"):
            _make_certificate(directory, name)
        pem = (directory / "broker.key").read_text() + (directory / "broker.crt").read_text()
        (directory / "broker.pem").write_text(pem)

    def properties(self) -> str:
        """Return its configuration; of a key that is there twice Java takes the last."""
        more = _PROPERTIES.format(
            port=self.port,
            controller_port=self.controller_port,
            secure_port=self.secure_port,
            data=self.directory,
        )
        return super().properties() + more

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings by which miroir reaches it, as environment."""
        return {
            "MIROIR_KAFKA": f"127.0.0.1:{self.secure_port}",
            "MIROIR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "MIROIR_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "MIROIR_KAFKA_SASL_USERNAME": USER,
            "MIROIR_KAFKA_SASL_PASSWORD": PASSWORD,
            "MIROIR_KAFKA_SSL_CAFILE": str(self.directory / "broker.crt"),
            "MIROIR_KAFKA_SSL_CERTFILE": str(self.directory / "client.crt"),
            "MIROIR_KAFKA_SSL_KEYFILE": str(self.directory / "client.key"),
        }

    def grant(self, kind: ResourceType, name: str, operations: Sequence[AclOperation], *, prefixed: bool) -> None:
        """Let the user do these with what has the name, or a name that begins so."""
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        admin = AdminClient({"bootstrap.servers": self.address})
        granted = admin.create_acls(
            [AclBinding(kind, name, pattern, f"User:{USER}", "*", each, AclPermissionType.ALLOW) for each in operations]
        )
        for future in granted.values():
            future.result(GRANT_S)


def _make_certificate(directory: Path, name: str) -> None:
    """Make a key and a certificate that is its own authority.

    Raises:
        RealKafkaMissingError: there is no openssl.
    """
    if shutil.which("openssl") is None:
        raise RealKafkaMissingError("no openssl on the path")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", *key, *subject, "-out", f"{name}.crt"]
    subprocess.run(command, cwd=directory, capture_output=True, check=True)
