"""Which log a stack's nodes will follow."""

from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker, broker_binary
from miroir.log_identity import prepare_topics
from schemas.errors import ConfigurationError, LogUnavailableError
from streams.kafka.admin import KafkaLogAdmin
from streams.topics import own_topics

pytestmark = pytest.mark.slow


async def test_topics_are_made_once_and_the_log_keeps_its_identity(tmp_path: Path) -> None:
    """Asked twice, it is the same log; where topics may not be made and are missing, that is said."""
    try:
        broker_binary()
    except ConfigurationError as error:
        pytest.skip(str(error))
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    try:
        with pytest.raises(LogUnavailableError, match="topics plan"):
            await prepare_topics(broker.config, create=False)

        first = await prepare_topics(broker.config, create=True)

        assert await prepare_topics(broker.config, create=False) == first
        admin = KafkaLogAdmin(broker.config)
        names = [spec.name for spec in own_topics()]
        assert set(await admin.describe(names)) == set(names)
        await admin.close()
    finally:
        await broker.stop()
