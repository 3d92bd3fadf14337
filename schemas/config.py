"""Every setting of miroir's processes, as one typed object, parsed once.

A setting ``name`` comes from the environment as ``MIROIR_NAME``, else from the TOML file that ``MIROIR_CONFIG`` names
as ``name``, else it has the default given here. What always holds: a key that is not known, or a value that is not
what it should be, is refused with the key and the reason. Who calls it: the top of each process. It must not know: the
real environment or file system; the shell passes both in.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from schemas.errors import ConfigurationError
from schemas.kafka import KafkaConfig

PREFIX = "MIROIR_"
FILE_KEY = "MIROIR_CONFIG"
"""Names the TOML file; read by the shell."""

_BROKER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")


def _check_brokers(text: str) -> str:
    for broker in text.split(","):
        if not _BROKER.fullmatch(broker):
            raise ValueError(f"expected host:port[,host:port…], found {broker!r}")
    return text


def _unset_if_empty(key: SecretStr | None) -> SecretStr | None:
    # A variable that is there and empty, as compose files make it, is no key: it would lock everybody out.
    return key if key is not None and key.get_secret_value() else None


MasterKey = Annotated[SecretStr | None, AfterValidator(_unset_if_empty)]
Brokers = Annotated[str, AfterValidator(_check_brokers)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

MEBIBYTE = 1024 * 1024


class Settings(BaseModel):
    """All settings; ``miroir doctor`` prints them with their origin, secrets hidden."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kafka: Brokers = Field("127.0.0.1:9092", description="Kafka brokers, host:port[,host:port…].")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism; used with SASL_… only."
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user; needed with SASL_….")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password; needed with SASL_….")
    kafka_ssl_cafile: str | None = Field(None, description="PEM file of trusted authorities; unset: the system's.")
    kafka_ssl_certfile: str | None = Field(None, description="The client's own certificate (PEM).")
    kafka_ssl_keyfile: str | None = Field(None, description="The key of the client's certificate (PEM).")
    kafka_ssl_check_hostname: bool = Field(
        default=True, description="Whether a broker's name must match its certificate."
    )
    kafka_idempotence: bool = Field(
        default=True, description="Idempotent producers. Off only for a broker that has none, such as the embedded one."
    )
    kafka_transactions: bool = Field(
        default=True,
        description="Transactional controller. Off only for a broker that has none, such as the embedded one.",
    )
    kafka_replication_factor: int = Field(3, ge=1, le=32, description="Copies of each topic that miroir makes.")
    kafka_create_topics: bool = Field(
        default=True, description="Whether miroir makes its topics. Off: they must exist (see `miroir topics plan`)."
    )
    kafka_group: str = Field("miroir", min_length=1, description="Consumer group of the workers of this cluster.")
    kafka_session_timeout_s: float = Field(
        10.0,
        ge=1.0,
        le=300.0,
        description="So long after its last heartbeat a worker's partitions go to others. Kafka takes no less than 6 s;"
        " on the embedded broker a rebalance takes more than half of it.",
    )

    master_key: MasterKey = Field(
        None, description="Key of the HTTP API; 16 bytes or more. Unset or empty: everybody may do everything."
    )
    node_master_key: SecretStr = Field(
        SecretStr(""), description="Master key of the nodes; used to make and derive their keys, never sent otherwise."
    )

    http_host: str = Field("127.0.0.1", min_length=1, description="Address that the process listens on.")
    http_port: Port = Field(7700, description="Port of the query service; 0 chooses a free one.")
    worker_http_port: Port = Field(7800, description="Port of a worker's /metrics and /health; 0 chooses a free one.")

    post_records_max: int = Field(50_000, ge=1, description="Most documents in one post to a node.")
    post_bytes_max: int = Field(
        16 * MEBIBYTE, ge=MEBIBYTE, le=90 * MEBIBYTE, description="Most bytes in one post; nodes take 100 MB."
    )
    post_age_max_s: Seconds = Field(0.05, description="Longest that a record waits for others to be posted with.")
    partition_queue_bytes_max: int = Field(
        4 * MEBIBYTE, ge=65536, description="Most bytes of one partition that wait in a worker; then it is paused."
    )
    progress_interval_s: Seconds = Field(0.1, description="Shortest time between two progress records of a replica.")
    tail_interval_s: Seconds = Field(0.05, description="How often a busy node's task list is read.")
    node_timeout_s: Seconds = Field(30.0, description="How long a node may take to answer a write or a task list.")

    replay_share: float = Field(
        0.5,
        gt=0.0,
        le=1.0,
        description="Share of a node's time that making copies on it may take while others serve; 1: all of it.",
    )
    sample_interval_s: float = Field(
        5.0,
        ge=0.0,
        le=3600.0,
        description="How often a worker compares up to 20 documents of one index on one node with the log; 0: never.",
    )
    sample_old_interval_s: float = Field(
        3600.0,
        ge=0.0,
        le=604_800.0,
        description="How often a worker reads the log of one shard anew, to compare 200 of its documents, however old,"
        " with it on each copy; 0: never.",
    )
    node_failed_after_s: Seconds = Field(
        300.0, description="A node that nobody has reached for this long has failed: its copies are made elsewhere."
    )
    node_return_after_s: Seconds = Field(
        30.0, description="A failed node that was there for this long is taken back; twice as long with each failure."
    )

    search_timeout_s: Seconds = Field(
        5.0,
        description="Deadline of one search. A node may take 0.4 of it, above its searchCutoffMs (1.5 s if not set).",
    )
    search_partial: bool = Field(
        default=False, description="Answer without shards that have no copy, and say so; else such a search is a 503."
    )
    search_partial_indexes: str = Field(
        "", description="Indexes (comma between) for which `search_partial` holds, whatever it says for the others."
    )
    search_slow_ms: int = Field(
        1000, ge=0, description="Searches that take longer are logged with how they were carried out; 0 logs none."
    )
    node_searches_max: int = Field(
        200, ge=1, le=1000, description="Most searches at once at a node; it drops above 1,000."
    )
    lag_records_max: int = Field(10_000, ge=0, description="How far behind the best copy a readable one may be.")
    produce_timeout_s: Seconds = Field(10.0, description="How long Kafka may take to acknowledge documents.")
    body_bytes_max: int = Field(100 * MEBIBYTE, ge=MEBIBYTE, description="Largest body taken; as Meilisearch's.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_json: bool = Field(default=True, description="Logs as JSON, one object a line; off: text for people.")

    @property
    def kafka_transactional_id(self) -> str:
        """The controller's: of all who write under it only the last can."""
        return f"{self.kafka_group}-controller"

    def kafka_config(self, client_id: str) -> KafkaConfig:
        """Return how to reach Kafka, for one client."""
        password = self.kafka_sasl_password
        return KafkaConfig(
            bootstrap_servers=self.kafka,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=None if password is None else password.get_secret_value(),
            ssl_cafile=self.kafka_ssl_cafile,
            ssl_certfile=self.kafka_ssl_certfile,
            ssl_keyfile=self.kafka_ssl_keyfile,
            ssl_check_hostname=self.kafka_ssl_check_hostname,
            idempotence=self.kafka_idempotence,
            transactions=self.kafka_transactions,
            replication_factor=self.kafka_replication_factor,
            session_timeout_s=self.kafka_session_timeout_s,
            client_id=client_id,
        )


def parse_settings(environment: Mapping[str, str], file: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings that the environment and the parsed TOML file give.

    Raises:
        ConfigurationError: a key is not known, or a value is not what it should be.
    """
    found: dict[str, Any] = {}
    for key, value in (file or {}).items():
        found[_known(key, key)] = value
    for key, value in environment.items():
        if key.startswith(PREFIX) and key != FILE_KEY:
            found[_known(key.removeprefix(PREFIX).lower(), key)] = value
    try:
        settings = Settings(**found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _refused(str(first["loc"][0]), first["msg"].removeprefix("Value error, ")) from None
    _check_login(settings)
    return settings


def _check_login(settings: Settings) -> None:
    if settings.kafka_security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}:
        needed = f"needed with kafka_security_protocol {settings.kafka_security_protocol}"
        if not settings.kafka_sasl_username:
            raise _refused("kafka_sasl_username", needed)
        if settings.kafka_sasl_password is None or not settings.kafka_sasl_password.get_secret_value():
            raise _refused("kafka_sasl_password", needed)
    if settings.kafka_ssl_keyfile and not settings.kafka_ssl_certfile:
        raise _refused("kafka_ssl_certfile", "needed with kafka_ssl_keyfile")


def _refused(name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{name} ({PREFIX}{name.upper()})", reason)


def _known(name: str, key: str) -> str:
    if name not in Settings.model_fields:
        raise ConfigurationError(key, "is not known; `miroir doctor --settings` lists all")
    return name
