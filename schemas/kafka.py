"""How to reach the log's brokers, and which of their abilities may be relied on.

What always holds: the values were checked where they were parsed; the password never shows in a text form of this. Who
calls it: the settings make one, every Kafka client is made from it. It must not know: any client library.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """A Kafka cluster as one of its clients sees it.

    Attributes:
        bootstrap_servers: ``host:port[,host:port…]``.
        security_protocol: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
        sasl_mechanism: ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``; used with ``SASL_…`` only.
        sasl_username: the user's name, or None.
        sasl_password: the user's password, or None.
        ssl_cafile: a PEM file of trusted authorities, or None for the system's.
        ssl_certfile: the client's own certificate (PEM), or None.
        ssl_keyfile: the key of ``ssl_certfile``, or None where the certificate's file holds it.
        ssl_check_hostname: False only where brokers are reached by another name than their certificate's.
        idempotence: True: a retry never appends twice. False for a broker that has no ``InitProducerId``.
        transactions: False for a broker without transactions: a commit is then a plain ordered append.
        replication_factor: copies of each topic made by us; a smaller cluster gets as many as it has brokers.
        request_timeout_ms: how long a broker may take to answer before it counts as away.
        session_timeout_s: after so long without a heartbeat a worker's partitions go to others.
        client_id: how brokers name this client in their logs, metrics and quotas.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_check_hostname: bool = True
    idempotence: bool = True
    transactions: bool = True
    replication_factor: int = 3
    request_timeout_ms: int = 10_000
    session_timeout_s: float = 10.0
    client_id: str = "miroir"
