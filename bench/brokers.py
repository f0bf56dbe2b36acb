"""The Kafkas that are measured against: a counting one of our own, and a real one; started when needed, stopped at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from jobs import BINARIES, BUILD, ROOT, Failed, Offsets

CLUSTER = BUILD / "kafka"


class Brokers:
    """Those that are wanted: `sink`, `kafka`, `tls`, `none`."""

    def __init__(self, wanted: set[str], say: Callable[..., None]) -> None:
        self.wanted = wanted
        self.say = say
        self.sink: subprocess.Popen | None = None
        self.kafka = False
        self.addresses = {"none": "127.0.0.1:1"}
        self.asked: dict[str, Offsets] = {}

    def __enter__(self) -> Brokers:
        try:
            if "sink" in self.wanted:
                self._start_sink()
            if self.wanted & {"kafka", "tls"}:
                self._start_kafka()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for offsets in set(self.asked.values()):
            offsets.close()
        if self.sink:
            self.sink.terminate()
            self.sink.wait(10)
        if self.kafka:
            self._cluster("clean")

    def address(self, target: str) -> str:
        return self.addresses[target]

    def offsets(self, target: str) -> Offsets | None:
        """None: nobody is there to be asked."""
        if target == "none":
            return None
        # The listeners of the real one lead to the same topics.
        plain = "kafka" if target == "tls" else target
        if plain not in self.asked:
            self.asked[plain] = Offsets(self.address(plain))
        return self.asked[plain]

    def arguments(self, target: str, program: str) -> dict[str, str]:
        """What a client must be told to reach it."""
        if target != "tls" or program != "plugin":
            return {}
        return {
            "set.rdkafka.security.protocol": "ssl",
            "set.rdkafka.ssl.ca.location": str(CLUSTER / "certs" / "ca.pem"),
        }

    def _start_sink(self) -> None:
        port = subprocess.run([ROOT / "dev" / "free-port"], check=True, capture_output=True, text=True).stdout.strip()
        self.sink = subprocess.Popen([BINARIES / "sink", port])
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port)), 1).close()
                break
            except OSError as error:
                if time.monotonic() > deadline or self.sink.poll() is not None:
                    raise Failed(f"the counting Kafka does not answer on port {port}: {error}") from None
                time.sleep(0.05)
        self.addresses["sink"] = f"127.0.0.1:{port}"

    def _start_kafka(self) -> None:
        self.say("starting Apache Kafka (one node)")
        self._cluster("make")
        self.kafka = True
        self._cluster("start")
        self.addresses["kafka"] = self._cluster("bootstrap")
        self.addresses["tls"] = self._cluster("bootstrap", "SSL")

    def _cluster(self, *words: str) -> str:
        env = os.environ | {"KAFKA_CLUSTER_DIR": str(CLUSTER), "NODES": "1", "HEAP": "1g"}
        done = subprocess.run([ROOT / "dev/kafka/cluster", *words], env=env, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"dev/kafka/cluster {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip().rpartition("\n")[2]
