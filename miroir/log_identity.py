"""Which log a stack's nodes will follow: its topics made, and its identity asked for.

What always holds: equal identities are the same log, offsets included. Who calls it: the local stack. It must not know:
nodes.
"""

import asyncio

from schemas.errors import LogUnavailableError
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.log import LogIdentity
from streams.topics import CLUSTER, own_topics

TOLD_S = 10.0
"""A Kafka that has just made a topic tells of it a moment later; a busy machine makes seconds of that."""

ASK_AGAIN_S = 0.1
"""Between two questions for a topic that was just made."""


async def prepare_topics(kafka: KafkaConfig, *, create: bool) -> LogIdentity:
    """Make miroir's own topics that are missing, where ``create`` allows it, and return the log's identity.

    Raises:
        LogUnavailableError: no broker answers, or the topics do not exist and may not be made.
        LogError: the broker refuses.
    """
    admin = KafkaLogAdmin(kafka)
    try:
        if create:
            await admin.create(own_topics())
        identity = await _identify(admin, told_s=TOLD_S if create else 0.0)
    finally:
        await admin.close()
    if identity is None:
        raise LogUnavailableError(f"topic {CLUSTER} does not exist: see `miroir topics plan`")
    return identity


async def _identify(admin: KafkaLogAdmin, *, told_s: float) -> LogIdentity | None:
    """Return the log's identity; None where the broker does not tell of the topic within that time."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + told_s
    while (  # noqa: ASYNC110 - a broker tells nobody
        identity := (await admin.identify([CLUSTER])).get(CLUSTER)
    ) is None and loop.time() < deadline_s:
        await asyncio.sleep(ASK_AGAIN_S)
    return identity
