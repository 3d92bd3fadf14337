"""A new log for an index whose log is not whole any more, from the documents on its nodes.

Step by step as ``docs/decisions/0011-a-new-log.md`` tells. What always holds: before the controller has taken the new
log nothing has changed but that the index is paused; from then on the log has all but what still came to the old
one, which is carried over before the former copies, that answer searches until then, may go. Who calls it: ``miroir log
reseed``. It must not know: terminals.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import NamedTuple, Self

import orjson

from agents.log_identity import RESEED
from miroir.backup import begun_on, look_at_log
from miroir.carrying import Carrier
from miroir.client import QueryClient
from miroir.cluster_view import ClusterView
from miroir.log_batches import AppendBatches
from miroir.log_wholeness import log_fault
from miroir.node_documents import NodeDocuments
from miroir.reseed_plan import ReseedPlan, plan_reseed, starts_left
from miroir.visibility import Standing, until_visible
from schemas.config import Settings
from schemas.document_ids import find_ids, parse_id
from schemas.errors import InvalidRequestError, LogError, MiroirError, NoTopicError, RecordTooLargeError
from schemas.events import FormerRecord, IndexRecord
from schemas.ids import Incarnation, IndexUid, Partition, Position, ShardId
from schemas.requests import PauseIndex, ReplaceLog, RetireFormer
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import TopicPartition
from streams.topics import RECORD_LIMIT, docs_topic, docs_topic_name

VISIBLE_S = 24 * 3600.0
"""How long the new copies may take: as long as a rebuild."""

PAUSE_REASON = f"its log is made anew (`{RESEED}`)"

Report = Callable[[int, int, str], None]
"""Takes how much is done, of how much, and what is done."""


class Reseeded(NamedTuple):
    """What was done.

    Attributes:
        former_topic: empty where it is gone.
        documents: from nodes.
        carried: records from the former topic.
        passed_over: records of the former topic of whose ids the new one had newer ones.
        keyless: records of the former topic without a key, which are left out: no document comes of them.
        lost: what no copy and no log held; empty where nothing was lost.
        is_quiet: whether nobody writes to the former topic any more.
    """

    uid: IndexUid
    incarnation: Incarnation
    topic: str
    former_topic: str
    documents: int
    carried: int
    passed_over: int
    keyless: int
    lost: str
    is_quiet: bool


class Finished(NamedTuple):
    """What was done behind a switch at which the command had been cut off.

    Attributes:
        carried: records from the former topic.
        passed_over: records of the former topic of whose ids the new one had newer ones.
        keyless: records of the former topic without a key, which are left out: no document comes of them.
        lost: what the former topic does not hold any more, unless it was carried before; empty where that is nothing.
        is_quiet: whether nobody writes to the former topic any more.
    """

    carried: int = 0
    passed_over: int = 0
    keyless: int = 0
    lost: str = ""
    is_quiet: bool = True


class Reseeder:
    """One new log. Enter it, ``look``, then ``run`` once.

    Args:
        settings: how to reach the log, and the nodes' master key.
        client: of a query service.
        report: told each step.
    """

    def __init__(self, settings: Settings, client: QueryClient, *, report: Report = lambda *_: None) -> None:
        self._settings = settings
        self._client = client
        self._report = report
        kafka = settings.kafka_config("miroir-reseed")
        self._view = ClusterView(kafka)
        self._reader = KafkaLogReader(kafka)
        self._writer = KafkaLogWriter(kafka)
        self._admin = KafkaLogAdmin(kafka)
        self._stack = AsyncExitStack()
        self._documents = 0

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first question."""
        await self._stack.enter_async_context(self._view)
        for each in (self._reader, self._writer, self._admin):
            self._stack.push_async_callback(each.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._stack.aclose()

    async def is_cut_off(self, uid: IndexUid) -> bool:
        """Return whether a new log was made already, and ``finish`` ends it.

        Raises:
            NotFoundError: there is no such index.
        """
        await self._view.refresh()
        self._view.topology.index(uid)
        return self._view.topology.former(uid) is not None

    async def look(self, uid: IndexUid) -> str:
        """Return what is wrong with the index's log.

        Raises:
            NotFoundError: there is no such index.
            MiroirError: nothing is, or a new log cannot be made.
        """
        await self._view.refresh()
        index = self._view.topology.index(uid)
        sight = await look_at_log(self._admin, self._reader, index)
        fault = log_fault(index.topic, index.shards, sight, begun_on(self._view, index))
        if not fault:
            raise MiroirError(f"index {uid!r}: its log {index.topic} holds everything: there is nothing to do")
        if index.primary_key is None:
            raise MiroirError(f"index {uid!r}: has no primary key, so no node holds anything of it: delete it instead")
        if not self._settings.kafka_create_topics:
            text = "miroir may not make topics here (MIROIR_KAFKA_CREATE_TOPICS=false)"
            raise MiroirError(f"{text}: `miroir backup {uid} FILE`, delete the index, then `miroir restore FILE`")
        return fault

    async def run(self, uid: IndexUid, *, accept_loss: bool = False) -> Reseeded:
        """Make the new log, let the index begin anew over it, and return once every copy has all of it.

        Args:
            uid: an index that was looked at.
            accept_loss: whether to go on where some positions are in no copy and no log.

        Raises:
            MiroirError: a step failed; says what holds now and what to do.
        """
        offset = await self._client.request(PauseIndex(uid, PAUSE_REASON, self._view.topology.index(uid).incarnation))
        await self._view.refresh()
        index = self._view.topology.index(uid)
        # No index is ever made by this request, so the name is nobody else's.
        topic = docs_topic_name(uid, Incarnation(offset), taken=True)
        plan, carrier, seeded = await self._fill(index, topic, accept_loss=accept_loss)
        incarnation = await self._switch(index, topic, carrier.positions, seeded)
        self._report(0, 0, f"what still comes to {index.topic}")
        is_quiet = await carrier.carry_stragglers(seeded) if plan.carried else True
        await self._end(uid)
        return Reseeded(
            uid=uid,
            incarnation=incarnation,
            topic=topic,
            former_topic=index.topic if plan.carried else "",
            documents=self._documents,
            carried=carrier.carried,
            passed_over=carrier.passed_over,
            keyless=carrier.keyless,
            lost=plan.describe_loss(),
            is_quiet=is_quiet,
        )

    async def finish(self, uid: IndexUid) -> Finished:
        """Carry over what has come to the former topic, and let the former copies go once the new ones are whole.

        Raises:
            MiroirError: not in time, or a step failed: it may be asked for again.
        """
        await self._view.refresh()
        index, former = self._view.topology.index(uid), self._view.topology.former(uid)
        finished = Finished() if former is None else await self._carry_left(index.topic, former)
        await self._end(uid)
        return finished

    async def _carry_left(self, topic: str, former: FormerRecord) -> Finished:
        """Carry over what has come to the former topic since the switch, of which nobody knows how far it got."""
        if not former.carried:
            return Finished()
        self._report(0, 0, f"what has come to {former.index.topic}")
        partitions = [TopicPartition(former.index.topic, Partition(shard)) for shard in sorted(former.carried)]
        try:
            bounds = {ShardId(each.partition): held for each, held in (await self._reader.bounds(partitions)).items()}
        except NoTopicError as error:
            # Its owner may have deleted it: there is nothing to carry, and no reason to wait for it.
            return Finished(lost=f"whatever came to {former.index.topic} behind {dict(former.carried)}: {error}")
        starts, lost = starts_left(former.carried, bounds)
        carrier = Carrier(self._reader, self._writer, former.index, topic, starts)
        await carrier.take_over(former.seeded)
        is_quiet = await carrier.carry_stragglers(former.seeded)
        return Finished(carrier.carried, carrier.passed_over, carrier.keyless, lost, is_quiet)

    async def _end(self, uid: IndexUid) -> None:
        """Let the former copies go once the new ones are whole; nothing where there are none."""
        await self._view.refresh()
        index, former = self._view.topology.index(uid), self._view.topology.former(uid)
        await self._until_visible(uid, await self._ends(index.topic, index.shards))
        if former is None:
            return
        await self._client.request(RetireFormer(uid, former.index.incarnation))
        self._report(0, 0, "the last searches of the former copies")
        await asyncio.sleep(self._settings.search_timeout_s)
        await self._client.request(RetireFormer(uid, former.index.incarnation, remove=True))

    async def _fill(
        self, index: IndexRecord, topic: str, *, accept_loss: bool
    ) -> tuple[ReseedPlan, Carrier, Mapping[ShardId, Position]]:
        """Fill the new topic with everything, and return where it ends; it is gone again where that fails."""
        hint = f"the index is as it was, and paused: `miroir index resume {index.uid}` ends that"
        try:
            async with NodeDocuments(self._settings, self._view.topology, index) as nodes:
                plan = await self._plan(index, nodes)
                _require_whole(index, plan, accept_loss=accept_loss)
                like = (await self._admin.describe([index.topic])).get(index.topic)
                await self._admin.create([docs_topic(topic, index.shards, like=like)])
                await self._seed(index, topic, plan, nodes)
            carrier = Carrier(self._reader, self._writer, index, topic, plan.carried)
            self._report(0, 0, f"what {index.topic} holds behind them")
            await carrier.carry_rest()
            seeded = await self._ends(topic, index.shards)
        except BaseException as error:
            await self._forget(topic)
            if isinstance(error, RecordTooLargeError):
                hint = f"raise {RECORD_LIMIT} of {index.topic}, the new topic gets the same; {hint}"
            if isinstance(error, MiroirError):
                raise MiroirError(f"{error} ({hint})") from error
            raise
        return plan, carrier, seeded

    async def _plan(self, index: IndexRecord, nodes: NodeDocuments) -> ReseedPlan:
        copies = await nodes.choose()
        sight = await look_at_log(self._admin, self._reader, index)
        ends: dict[ShardId, Position] = {}
        for each in self._view.progress.replicas.values():
            if each.incarnation == index.incarnation:
                ends[each.shard] = max(each.end, ends.get(each.shard, each.end))
        return plan_reseed(copies, sight, begun_on(self._view, index), ends)

    async def _seed(self, index: IndexRecord, topic: str, plan: ReseedPlan, nodes: NodeDocuments) -> None:
        batches = AppendBatches(self._writer)
        assert index.primary_key is not None, "looked at"
        for copy in plan.copies:
            self._report(copy.shard, index.shards, f"shard {copy.shard} from {copy.node}")
            async for document in nodes.of_copy(copy):
                (found, *_) = find_ids(orjson.loads(document), index.primary_key)
                await batches.add(topic, Partition(copy.shard), parse_id(found).encode(), document)
        await batches.flush()
        await nodes.check(plan.copies)
        self._documents = batches.records
        self._report(index.shards, index.shards, f"{batches.records:,} documents from nodes")

    async def _switch(
        self,
        index: IndexRecord,
        topic: str,
        carried: Mapping[ShardId, Position],
        seeded: Mapping[ShardId, Position],
    ) -> Incarnation:
        asked = ReplaceLog(index.uid, topic, index.incarnation, carried, seeded)
        try:
            return Incarnation(await self._client.request(asked))
        except InvalidRequestError as error:
            if error.code != "unanswered":
                await self._forget(topic)
                raise
            ends = f"`miroir log reseed {index.uid}` ends it, with what is written until then"
            text = f"topic {topic} waits for it: once `miroir status` shows index {index.uid!r} as active, {ends}"
            raise MiroirError(f"{error}; {text}") from error

    async def _forget(self, topic: str) -> None:
        """Delete the new topic, after what matters more has failed; `miroir doctor` names one that stays."""
        with suppress(LogError):
            await self._admin.delete([topic])

    async def _ends(self, topic: str, shards: int) -> Mapping[ShardId, Position]:
        partitions = [TopicPartition(topic, Partition(shard)) for shard in range(shards)]
        bounds = await self._reader.bounds(partitions)
        return {ShardId(each.partition): held.end for each, held in bounds.items()}

    async def _until_visible(self, uid: IndexUid, ends: Mapping[ShardId, Position]) -> None:
        def tell(standing: Standing) -> None:
            self._report(standing.reached, standing.wanted, "documents become visible on every copy")

        wanted = {Partition(shard): end for shard, end in ends.items() if end > 0}
        await until_visible(self._view, uid, wanted, timeout_s=VISIBLE_S, report=tell)


def _require_whole(index: IndexRecord, plan: ReseedPlan, *, accept_loss: bool) -> None:
    """Raise where something is in no copy and in no log, and nobody has accepted that."""
    if plan.lost and not accept_loss:
        text = f"no copy and no log holds some of {index.uid!r}: {plan.describe_loss()}"
        raise MiroirError(f"{text}; --accept-loss goes on without them")
