"""An Apache Kafka broker from Maven artifacts (single node, KRaft, default settings), and its produce and consume rates.

Needs `mvn`, `java` and the Python package `confluent-kafka`; says so when they are not there. Used by benchmarks/filelog.py.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>bench</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{version}</version></dependency></dependencies></project>
"""

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={logs}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""
PAYLOAD = b"x" * 100


def what_is_missing() -> str | None:
    """Why Kafka cannot be measured here; None when it can."""
    missing = [tool for tool in ("mvn", "java") if shutil.which(tool) is None]
    if importlib.util.find_spec("confluent_kafka") is None:
        missing.append("the Python package confluent-kafka")
    return f"Kafka is not measured: {', '.join(missing)} is not there" if missing else None


def kafka_rates(directory: Path, count: int, version: str) -> dict[str, float]:
    """Events per second of 100-byte events through a broker that is started for it; empty when that is not possible."""
    reason = what_is_missing()
    if reason:
        print(reason)
        return {}
    libraries = _fetch(directory, version)
    if libraries is None:
        print("Kafka is not measured: Maven could not fetch its artifacts")
        return {}
    broker, controller = _free_port(), _free_port()
    properties = directory / "server.properties"
    properties.write_text(PROPERTIES.format(broker=broker, controller=controller, logs=directory / "kafka-logs"))
    classpath = f"{libraries}/*"
    cluster = uuid.uuid4().hex[:22]
    format_command = ["java", "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
    formatted = subprocess.run(format_command, capture_output=True, text=True, check=False, timeout=120)
    if formatted.returncode:
        print(f"Kafka is not measured: {formatted.stderr.strip()[-500:]}")
        return {}
    with open(directory / "kafka.out", "wb") as out:
        server = subprocess.Popen(
            ["java", "-Xmx1G", "-Xms1G", "-cp", classpath, "kafka.Kafka", str(properties)], stdout=out, stderr=out
        )
    try:
        return _measure(f"127.0.0.1:{broker}", count)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def _fetch(directory: Path, version: str) -> Path | None:
    project = directory / "kafka"
    project.mkdir()
    (project / "pom.xml").write_text(POM.format(version=version))
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        print(done.stdout[-500:])
        return None
    return project / "lib"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _measure(address: str, count: int) -> dict[str, float]:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    _wait_for_port(address)
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic("t", 1, 1)]).values():
        future.result(30)
    producer = Producer({"bootstrap.servers": address, "queue.buffering.max.messages": 1_000_000})
    started = time.perf_counter()
    for _ in range(count):
        _produce(producer)
    producer.flush()
    produced = count / (time.perf_counter() - started)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "auto.offset.reset": "earliest"})
    consumer.subscribe(["t"])
    got = 0
    first: float | None = None
    while got < count:
        messages = consumer.consume(10_000, 5)
        if messages and first is None:
            # Joining the group is not counted: the clock starts with the first batch, which is left out.
            first, count = time.perf_counter(), count - len(messages)
            continue
        got += len(messages)
    assert first is not None
    consumed = got / (time.perf_counter() - first)
    consumer.close()
    return {"Kafka produce events/s": produced, "Kafka consume events/s": consumed}


def _wait_for_port(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _produce(producer: Any) -> None:
    while True:
        try:
            producer.produce("t", PAYLOAD)
            return
        except BufferError:
            producer.poll(0.05)
