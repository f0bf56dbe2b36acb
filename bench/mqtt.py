"""The plugin as an MQTT publisher sees it: messages a second, the time to a PUBACK, and what a message costs the broker, with
the plugin off and on in its three modes.

    python3 bench/mqtt.py KAFKA [ROUNDS [EMQ_HOME]]

prints the medians; `rounds` below is for the whole benchmark. The publishers are bench/src/bin/mqtt.rs.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from emq import MODES, Broker
from jobs import BINARIES, Failed, Offsets

PARTITIONS = 4
WARMUP_S = 1
SECONDS = 3
ARRIVED_S = 120
COUNTED_S = 10
# `connected` and `disconnected` of each client.
RECORDS_OF_A_CLIENT = 2

Row = dict[str, object]


@dataclass(frozen=True)
class Load:
    """How the publishers publish."""

    clients: int
    window: int
    # Messages a second of all together; 0: as many as the broker takes.
    rate: int = 0

    def __str__(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        return f"{clients} at {self.rate}/s" if self.rate else f"{clients} window {self.window}"

    def arguments(self) -> dict[str, int]:
        rate = {"rate": self.rate} if self.rate else {}
        return {"clients": self.clients, "window": self.window} | rate


# Rates, and latencies at a rate that every mode sustains: in `sync` a client gets one message per round trip to Kafka.
LOADS = (Load(1, 100), Load(100, 10), Load(100, 10, rate=5000))


def rounds(home: str | None, kafka: str, count: int, say: Callable[[str], None], payload_bytes: int = 200) -> list[list[Row]]:
    """Measures all loads in all modes, `count` times. No home: the stand-in."""
    offsets = Offsets(kafka)
    try:
        topic = offsets.create(PARTITIONS)
        try:
            with Broker(home, kafka, topic, say) as broker:
                return [one_round(broker, offsets, number, payload_bytes) for number in range(count)]
        finally:
            offsets.delete(topic)
    finally:
        offsets.close()


def one_round(broker: Broker, offsets: Offsets, number: int, payload_bytes: int) -> list[Row]:
    """The rows come in the same order each time, and were measured in another."""
    rows = {}
    first = number % len(MODES)
    for mode in MODES[first:] + MODES[:first]:
        broker.switch(mode)
        for load in LOADS:
            row = measure(broker, offsets, load, payload_bytes)
            broker.say(summary(row))
            rows[load, mode] = row
    return [rows[load, mode] for load in LOADS for mode in MODES]


def measure(broker: Broker, offsets: Offsets, load: Load, payload_bytes: int) -> Row:
    """One load in the broker's present mode. What it has acknowledged must be in Kafka, and nothing else."""
    before = offsets.sum(broker.topic)
    counted = broker.stats() if broker.mode != "off" else {}
    seen = publish(broker, load, payload_bytes)
    records = seen["acknowledged"] + RECORDS_OF_A_CLIENT * load.clients if broker.mode != "off" else 0
    reached, sum_now = offsets.wait(broker.topic, before + records, ARRIVED_S)
    if not reached or sum_now != before + records:
        raise Failed(f"{load}, plugin {broker.mode}: {records} records expected in Kafka, {sum_now - before} arrived")
    if broker.mode != "off":
        check_counters(broker, counted, records)
    return {
        "name": "mqtt",
        "variant": f"{broker.kind}, {load}, plugin {broker.mode}",
        "payload_bytes": payload_bytes,
        "processes": load.clients,
        "records_per_s": seen["messages_per_s"],
        "call_us": seen["puback_us"],
        "cpu_us_per_record": seen["cpu_us_per_message"],
    }


def publish(broker: Broker, load: Load, payload_bytes: int) -> dict:
    arguments = {
        "server": f"127.0.0.1:{broker.port}",
        "pid": broker.pid,
        "payload_bytes": payload_bytes,
        "warmup": WARMUP_S,
        "seconds": SECONDS,
    } | load.arguments()
    words = [f"{key}={value}" for key, value in arguments.items()]
    done = subprocess.run([BINARIES / "mqtt", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{load}, plugin {broker.mode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def check_counters(broker: Broker, before: dict[str, int], records: int) -> None:
    """Every record acknowledged by Kafka, as the plugin itself counts; its reports come just after the end offsets."""
    deadline = time.monotonic() + COUNTED_S
    while True:
        now = broker.stats()
        grown = {name: now[name] - before[name] for name in ("accepted", "success", "failed", "dropped")}
        if grown == {"accepted": records, "success": records, "failed": 0, "dropped": 0}:
            return
        if grown["success"] >= records or time.monotonic() > deadline:
            raise Failed(f"{records} records in Kafka, but the plugin, {broker.mode}, counts {grown}")


def summary(row: Row) -> str:
    times = row["call_us"]
    assert isinstance(times, dict)
    return (
        f"{row['variant']}: {row['records_per_s']:,.0f}/s, {row['cpu_us_per_record']:.1f} us CPU, PUBACK"
        f" p50 {times['p50']:,.0f} p99 {times['p99']:,.0f} p99.9 {times['p999']:,.0f} us"
    )


def medians(all_rounds: list[list[Row]]) -> list[Row]:
    """A row for each variant; every number is a median of its own."""
    found = []
    for rows in zip(*all_rounds, strict=True):
        numbers = {key: statistics.median(row[key] for row in rows) for key in ("records_per_s", "cpu_us_per_record")}
        times = {key: statistics.median(row["call_us"][key] for row in rows) for key in ("p50", "p99", "p999")}
        found.append(rows[0] | numbers | {"call_us": times})
    return found


def main() -> None:
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    # Otherwise it would end without stopping the broker.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kafka, count, home = (sys.argv[1:] + ["3", ""][len(sys.argv) - 2 :])[:3]
    try:
        measured = rounds(home, kafka, int(count), lambda line: print(line, file=sys.stderr, flush=True))
    except Failed as reason:
        sys.exit(f"mqtt.py: {reason}")
    for row in medians(measured):
        print(summary(row))


if __name__ == "__main__":
    main()
