"""docker-compose.yml fits the settings, and starts where Docker is."""

import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from schemas.config import PREFIX, parse_settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SECRET = "a-secret-of-more-than-sixteen-bytes"
OURS = ("worker-1", "worker-2", "query-1", "query-2", "join")
POLL_S = 0.5
NODES = ("node-1", "node-2", "node-3")


def load_services() -> dict[str, dict[str, Any]]:
    """Return the services with every variable filled in."""
    text = re.sub(r"\$\{\w+(:[?-][^}]*)?\}", SECRET, COMPOSE.read_text())
    services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return services


SERVICES = load_services()


def test_compose_has_every_part() -> None:
    """A Kafka, three nodes, two workers, two query services."""
    assert {"kafka", *NODES, *OURS} == SERVICES.keys()


@pytest.mark.parametrize("name", OURS)
def test_compose_environment_is_known_settings(name: str) -> None:
    """Every MIROIR_ variable is a setting, with a value that it takes; nothing else is given."""
    environment = SERVICES[name]["environment"]

    settings = parse_settings(environment)

    assert all(key.startswith(PREFIX) for key in environment)
    assert settings.node_master_key.get_secret_value() == SECRET
    assert settings.http_host == "0.0.0.0"


def test_compose_kafka_listens_where_it_is_looked_for() -> None:
    """Ours use the listener that is advertised under the service's name."""
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")

    assert all(f"INSIDE://{SERVICES[name]['environment']['MIROIR_KAFKA']}" in advertised for name in OURS)


@pytest.mark.parametrize("name", NODES)
def test_compose_node_shares_its_master_key_and_bounds_its_memory(name: str) -> None:
    """Nodes have the master key that ours derive keys from, their own volume, and bounded indexing memory."""
    service = SERVICES[name]

    assert service["environment"]["MEILI_MASTER_KEY"] == SECRET
    assert "--max-indexing-memory" in service["command"]
    assert service["volumes"] == [f"{name}:/meili_data"]


def test_compose_join_names_every_node() -> None:
    """The nodes that are asked to join are those that run."""
    assert SERVICES["join"]["command"] == ["sh", "scripts/join", *NODES]


def test_compose_join_is_waited_for() -> None:
    """``up --wait`` fails for a container that ends, unless one that stays waits for its good end."""
    conditions = [
        service["depends_on"]["join"]["condition"]
        for service in SERVICES.values()
        if "join" in service.get("depends_on", ())
    ]

    assert conditions == ["service_completed_successfully"]


def test_compose_everything_that_stays_has_a_health_check() -> None:
    """Every service but the one that ends is watched, and started again."""
    staying = {name: service for name, service in SERVICES.items() if name != "join"}

    assert all(service["healthcheck"]["test"] for service in staying.values())
    assert {service["restart"] for service in staying.values()} == {"unless-stopped"}


@pytest.mark.parametrize("name", [name for name in OURS if name != "join"])
def test_compose_health_is_asked_where_it_is_told(name: str) -> None:
    """The port of the health check is the one that the process is given; a query service's is the one published."""
    service = SERVICES[name]
    settings = parse_settings(service["environment"])
    port = settings.http_port if name.startswith("query") else settings.worker_http_port

    assert service["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/health"
    assert [each.rpartition(":")[2] for each in service.get("ports", ())] == ([str(port)] if "ports" in service else [])


def test_compose_nodes_are_added_at_the_port_that_they_are_watched_at() -> None:
    """The join script's addresses are those of nodes and of the first query service."""
    script = (ROOT / "scripts/join").read_text()
    (query,) = re.findall(r"--url http://query-1:(\d+)", script)
    (node,) = re.findall(r"http://\$node:(\d+)", script)

    assert int(query) == parse_settings(SERVICES["query-1"]["environment"]).http_port
    assert all(SERVICES[name]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{node}/health" for name in NODES)


def test_compose_waits_until_its_nodes_have_joined() -> None:
    """``docker compose up --wait`` waits for the join's end: nodes that are still joining hold nothing."""
    (command,) = [line for line in (ROOT / "scripts/join").read_text().splitlines() if "miroir node add" in line]

    assert "--wait" in command.split()
    assert SERVICES["query-2"]["depends_on"]["join"]["condition"] == "service_completed_successfully"


def test_compose_keeps_the_log_and_every_node_on_volumes() -> None:
    """What Kafka writes lies on its volume; every volume is used once."""
    directory = SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"]
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]

    assert f"kafka:{directory}" in volumes
    declared = yaml.safe_load(COMPOSE.read_text())["volumes"]
    assert sorted(volume.partition(":")[0] for volume in volumes) == sorted(declared)


def test_image_holds_every_package() -> None:
    """What is installed in it is copied into it before."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = {line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")}

    assert packages <= copied


def test_compose_publishes_on_loopback_only() -> None:
    """Nothing is open to the network by accident."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_commands_exist() -> None:
    """What containers run is in the checkout."""
    assert (ROOT / "agents/worker/__main__.py").exists()
    assert (ROOT / "query/http/__main__.py").exists()
    assert os.access(ROOT / "scripts/healthy", os.X_OK)
    assert SERVICES["worker-1"]["command"] == ["python", "-m", "agents.worker"]
    assert SERVICES["query-1"]["command"] == ["python", "-m", "query.http"]


@pytest.fixture
def composed() -> Iterator[None]:
    """The whole composition, running; skips where Docker does not."""
    if shutil.which("docker") is None:
        pytest.skip("no docker: there is no such program")
    ran = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        pytest.skip(f"no docker: {ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else ran.returncode}")
    from testcontainers.compose import DockerCompose  # noqa: PLC0415 - it asks Docker when it is imported

    secrets = {"MIROIR_NODE_MASTER_KEY": SECRET, "MIROIR_MASTER_KEY": SECRET}
    os.environ.update(secrets)
    try:
        with DockerCompose(str(ROOT), build=True, wait=True):
            yield
    finally:
        for name in secrets:
            del os.environ[name]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compose_started_answers_searches_through_both_services(composed: None) -> None:
    """Where Docker runs, the composition starts, and what is posted to one service is found by both."""
    del composed
    headers = {"Authorization": f"Bearer {SECRET}"}
    deadline_s = time.monotonic() + 240
    active = 0
    with (
        httpx.Client(base_url="http://127.0.0.1:7700", headers=headers, trust_env=False) as first,
        httpx.Client(base_url="http://127.0.0.1:7701", headers=headers, trust_env=False) as second,
    ):
        while active < len(NODES) and time.monotonic() < deadline_s:
            status = first.get("/_miroir/status").raise_for_status().json()
            active = sum(node["state"] == "active" for node in status["nodes"])
            time.sleep(POLL_S)
        posted = first.post("/indexes/books/documents", json=[{"id": 1, "title": "Dune"}]).raise_for_status().json()
        state = "enqueued"
        while state in {"enqueued", "processing"} and time.monotonic() < deadline_s:
            state = first.get(f"/tasks/{posted['taskUid']}").raise_for_status().json()["status"]
            time.sleep(POLL_S)
        answers = [http.post("/indexes/books/search", json={"q": "dune"}) for http in (first, second)]

    assert active == len(NODES)
    assert state == "succeeded"
    assert [answer.raise_for_status().json()["hits"] for answer in answers] == [[{"id": 1, "title": "Dune"}]] * 2
