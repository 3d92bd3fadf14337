"""What looks at documents on the nodes of one worker: at the last writes, and at old ones.

Who calls it: the applier. It must not know: how either looks.
"""

import asyncio
from collections.abc import Callable, Sequence

from agents.worker.log_sampler import LogSampler
from agents.worker.metrics import WorkerMetrics
from agents.worker.sampler import Place, Sampler
from agents.worker.set_aside import DeadLetters
from schemas.config import Settings
from schemas.events import ReplicaRecord
from streams.log import LogReader


class Samplers:
    """Both of them.

    Args:
        settings: how often, and what is too large.
        places: what can be looked at now.
        has_other: whether another copy of the shard is whole.
        dead: the records set aside; appends requests.
        make_reader: makes a reader for one look at old documents.
        metrics: shows what was looked at, and what differs.
        draw: a number in [0, 1).
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        places: Callable[[], Sequence[Place]],
        *,
        has_other: Callable[[ReplicaRecord], bool],
        dead: DeadLetters,
        make_reader: Callable[[], LogReader],
        metrics: WorkerMetrics,
        draw: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._sampler = Sampler(
            places,
            has_other=has_other,
            append=dead.append,
            metrics=metrics,
            interval_s=settings.sample_interval_s,
            draw=draw,
            now_ms=now_ms,
        )
        self._log_sampler = LogSampler(
            self._sampler,
            places,
            make_reader=make_reader,
            letters=dead.known,
            document_bytes_max=settings.post_bytes_max,
            interval_s=settings.sample_old_interval_s,
            draw=draw,
        )

    def differing(self, replica: ReplicaRecord) -> int:
        """Return how many documents of the replica were found to differ since it was placed."""
        return self._sampler.differing(replica)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._log_sampler.run())
            await self._sampler.run()
