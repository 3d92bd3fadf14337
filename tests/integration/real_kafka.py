"""A real Apache Kafka for tests: brought by Maven, started in KRaft mode on loopback, killed and started with its data.

``python -m tests.integration.real_kafka`` starts one, prints its address and keeps it until interrupted.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from miroir.ports import free_port
from miroir.processes import end_with_parent
from schemas.kafka import KafkaConfig
from tests.integration.waiting import freeze

KAFKA_VERSION = "4.1.0"
LOG4J_VERSION = "2.24.3"
READY_S = 150.0
"""It takes 5 s alone on two cores; a busy machine has taken a minute."""

STOP_S = 15.0
HEAP = "512m"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "miroir-tests" / f"kafka-{KAFKA_VERSION}"

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>miroir</groupId><artifactId>real-kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version></dependency>
  </dependencies>
</project>
"""

_LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c - %m%n
"""

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}/log
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8000000
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
"""
"""``auto.create.topics.enable`` stays true, Kafka's default: that none of our clients creates a topic by asking for it
shows here only. The cleaner and the retention look more often than in production, so that tests need not wait."""


class RealKafkaMissingError(Exception):
    """Java or Maven is not there, or Maven cannot bring Kafka; the text says which."""


class RealKafka:
    """One broker's process and its data.

    Args:
        directory: where its data and its output go.
    """

    format_arguments: Sequence[str] = ()
    """More of them for the tool that formats its disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def config(self) -> KafkaConfig:
        """How to reach it, with everything production has."""
        return KafkaConfig(self.address, replication_factor=1)

    def start(self) -> None:
        """Start it, with its data where it has been started before, and return when it answers.

        Raises:
            RealKafkaMissingError: there is no Java, no Maven, or Maven fails.
            RuntimeError: it does not answer in time; the text names its output.
        """
        classpath = kafka_classpath()
        output = self.directory / "output.log"
        properties = self.directory / "server.properties"
        fresh = not properties.exists()
        with output.open("ab") as log:
            if fresh:
                self._prepare(properties)
                command = _java(classpath, "kafka.tools.StorageTool")
                cluster_id = "bWlyb2lyLXRlc3RzLWthZg"
                subprocess.run(
                    [*command, "format", "-t", cluster_id, "-c", str(properties), *self.format_arguments],
                    stdout=log,
                    stderr=log,
                    check=True,
                )
            self._process = subprocess.Popen(
                [*_java(classpath, "kafka.Kafka"), str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(),
            )
        self._wait_ready(output)

    def kill(self) -> None:
        """End it with SIGKILL; its data stays."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; its data stays."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it with SIGSTOP: connections stay open, nothing answers."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _prepare(self, properties: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        properties.write_text(self.properties())

    def properties(self) -> str:
        """Return its configuration, in Java's form."""
        return _PROPERTIES.format(port=self.port, controller_port=self.controller_port, data=self.directory)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_ready(self, output: Path) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            if _answers(self.port):
                return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"kafka does not answer on {self.address}: see {output}")


def kafka_classpath() -> str:
    """Return the class path of Kafka and its dependencies; Maven is asked the first time only.

    Raises:
        RealKafkaMissingError: there is no Java, no Maven, or Maven fails.
    """
    if shutil.which("java") is None:
        raise RealKafkaMissingError("no java on the path")
    found = CACHE / "classpath.txt"
    if found.exists() and all(Path(jar).exists() for jar in found.read_text().strip().split(":")):
        return found.read_text().strip()
    maven = shutil.which("mvn")
    if maven is None:
        raise RealKafkaMissingError("no mvn on the path")
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "pom.xml").write_text(_POM)
    (CACHE / "log4j2.properties").write_text(_LOG4J)
    # Written beside and renamed: two test runs may do this at once.
    fresh = CACHE / f"classpath.{os.getpid()}"
    command = [maven, "-B", "-q", "-f", str(CACHE / "pom.xml"), "dependency:build-classpath"]
    ran = subprocess.run([*command, f"-Dmdep.outputFile={fresh}"], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RealKafkaMissingError(f"mvn could not bring kafka {KAFKA_VERSION}: {ran.stdout[-500:]}")
    fresh.rename(found)
    return found.read_text().strip()


def _java(classpath: str, main: str) -> list[str]:
    java = shutil.which("java") or "java"
    # The serial collector and the first compiler only: a test's broker lives for seconds, on few cores.
    options = [f"-Xmx{HEAP}", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [java, *options, f"-Dlog4j2.configurationFile={CACHE / 'log4j2.properties'}", "-cp", classpath, main]


def _answers(port: int) -> bool:
    """Ask for the API versions in the protocol's oldest form: it is answered once the broker serves clients."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff")
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def main() -> None:
    """Start one, print its address, keep it until interrupted."""
    with tempfile.TemporaryDirectory(prefix="miroir-kafka-") as directory:
        kafka = RealKafka(Path(directory))
        kafka.start()
        sys.stdout.write(f"{kafka.address}\n")
        sys.stdout.flush()
        try:
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
        except KeyboardInterrupt:
            pass
        finally:
            kafka.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
