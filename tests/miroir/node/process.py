"""A node as a process of its own, for tests of what only a process can show."""

import http.client
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

from miroir.ports import free_port
from miroir.processes import end_with_parent

MASTER_KEY = "masterKey"
MASTER = "the node's own master key"
"""Stands for whatever key the node was started with."""

START_TIMEOUT_S = 60.0
TASK_TIMEOUT_S = 150.0
POLL_S = 0.01
FINISHED = frozenset(("succeeded", "failed", "canceled"))


class Reply(NamedTuple):
    """An answer: status and parsed body, empty text where there is none."""

    status: int
    body: Any


class NodeProcess:
    """Starts ``python -m miroir.node`` on a free port and talks to it."""

    def __init__(self, directory: Path, *, master_key: str = MASTER_KEY) -> None:
        self.directory = directory
        self.master_key = master_key
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        """Start the node."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> float:
        """Start the process, wait until it is healthy, return the seconds that took."""
        started_s = time.monotonic()
        self.port = free_port()
        command = [sys.executable, "-m", "miroir.node", "--http-addr", f"127.0.0.1:{self.port}"]
        command += ["--db-path", str(self.directory), "--master-key", self.master_key, "--no-analytics"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent())
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.call("GET", "/health")
            except OSError:
                assert self._process.poll() is None, "node ended at start"
                assert time.monotonic() < deadline_s, "node did not start in time"
                time.sleep(POLL_S)
            else:
                return time.monotonic() - started_s

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End the process at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.disconnect()

    def memory_mb(self) -> float | None:
        """Return the most memory the node and its indexer ever had together; None where the system does not tell."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            peaks = [Path(f"/proc/{pid}/status").read_text() for pid in (self.pid, *children)]
        except OSError:
            return None
        lines = [line for status in peaks for line in status.splitlines() if line.startswith("VmHWM")]
        return sum(int(line.split()[1]) for line in lines) / 1024

    def stop(self) -> None:
        """End the process politely, if it runs."""
        self.disconnect()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=START_TIMEOUT_S)

    def disconnect(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        content_type: str | None = None,
        authorization: str | None = MASTER,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request over a kept connection, with the master key where nothing else is given."""
        sent = dict(headers or {})
        if authorization is not None:
            sent["Authorization"] = f"Bearer {self.master_key}" if authorization is MASTER else authorization
        payload = raw
        if body is not None:
            payload, content_type = orjson.dumps(body), content_type or "application/json"
        if content_type is not None:
            sent["Content-Type"] = content_type
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TASK_TIMEOUT_S)
        try:
            self._connection.request(method, path, payload, sent)
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.disconnect()
            raise OSError(str(error)) from error
        return Reply(response.status, orjson.loads(data) if data else "")

    def wait(self, task_uid: int) -> dict[str, Any]:
        """Return a task once it has finished."""
        deadline_s = time.monotonic() + TASK_TIMEOUT_S
        while True:
            reply = self.call("GET", f"/tasks/{task_uid}")
            task: dict[str, Any] = reply.body
            if reply.status != 200 or task["status"] in FINISHED:
                return task
            assert time.monotonic() < deadline_s, f"task {task_uid} did not finish in time"
            time.sleep(POLL_S)

    def run(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """Send a write and return its finished task."""
        reply = self.call(method, path, body, **more)
        assert reply.status == 202, reply
        return self.wait(reply.body["taskUid"])
