"""What `make bench` measures: one Row for each line of the results, in groups that can be run alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

PAYLOADS = (200, 1024, 16384)

# A client that has room for as many records as this holds them all; what is over waits, for every client the same.
WINDOW = 100_000


@dataclass(frozen=True)
class Row:
    """One client with one set of arguments, against one Kafka."""

    group: str
    name: str
    variant: str
    # sink: the counting one; kafka: the real one; tls: the real one's TLS listener; none: nobody listens.
    target: str = "sink"
    payload_bytes: int = 200
    processes: int = 1
    partitions: int = 4
    arguments: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple:
        return (self.group, self.target, self.name, self.variant, self.payload_bytes, self.processes, self.partitions)

    def words(self) -> dict[str, str]:
        common = {"payload_bytes": self.payload_bytes, "processes": self.processes, "window": WINDOW}
        return {name: str(value) for name, value in common.items()} | self.arguments


# The plugin's queue in memory alone, publishers waiting while it is full: nothing is dropped, and no disk is in the way.
MEMORY = {"mode": "async", "set.spool": "off"}
# As it is delivered: what memory has no room for goes to the spool.
DEFAULT = {"mode": "async"}


def against_peers() -> Iterator[Row]:
    """Everybody with the same records, on the counting sink and on a real Kafka."""
    for target in ("sink", "kafka"):
        yield from _small(target)
        for payload in PAYLOADS[1:]:
            yield from _larger(target, payload)
    yield from _synchronous("sink", (1, 100, 1000))
    yield from _synchronous("kafka", (1, 100, 1000))


def _small(target: str) -> Iterator[Row]:
    """200 B: all there is."""

    def row(name: str, variant: str, processes: int, **arguments: str) -> Row:
        return Row("peers", name, variant, target, PAYLOADS[0], processes, arguments=arguments)

    yield row("raw", "async", 1)
    yield row("raw", "async", 4)
    yield row("raw", "async, 5 headers", 4, headers="5")
    for processes in (1, 4, 1000):
        yield row("plugin", "async, in memory", processes, **MEMORY)
    yield row("plugin", "async, default settings", 4, **DEFAULT)
    yield row("plugin", "durable, nobody waiting", 4, mode="durable", qos="0")
    for processes in (1, 100, 1000):
        yield row("plugin", "durable", processes, mode="durable", latency="on")
    for settings in ("default", "best"):
        yield from _peers(target, PAYLOADS[0], settings)


def _larger(target: str, payload: int) -> Iterator[Row]:
    """The same, without what only the number of records decides."""
    yield Row("peers", "raw", "async", target, payload, 4)
    yield Row("peers", "plugin", "async, in memory", target, payload, 4, arguments=MEMORY)
    yield Row("peers", "plugin", "async, default settings", target, payload, 4, arguments=DEFAULT)
    durable = {"mode": "durable", "qos": "0"}
    yield Row("peers", "plugin", "durable, nobody waiting", target, payload, 4, arguments=durable)
    yield from _peers(target, payload, "best")


def _peers(target: str, payload: int, settings: str) -> Iterator[Row]:
    # ekaf speaks no protocol that a current Kafka accepts.
    ways = {"erlkaf": "async", "wolff": "cast", "brod": "no_ack"} | ({"ekaf": "async"} if target == "sink" else {})
    for name, way in ways.items():
        arguments = {"settings": settings} | ({"mode": "no_ack"} if name == "brod" else {})
        yield Row("peers", name, f"{way}, {settings} settings", target, payload, 4, arguments=arguments)


def _synchronous(target: str, callers: tuple[int, ...]) -> Iterator[Row]:
    """One record after the other, each acknowledged."""
    for processes in callers:
        for name in ("raw", "plugin", "erlkaf", "wolff", "brod"):
            arguments = {"mode": "sync", "latency": "on"}
            if name in ("erlkaf", "wolff", "brod"):
                arguments["settings"] = "best"
            yield Row("sync", name, "sync", target, PAYLOADS[0], processes, arguments=arguments)


def latency() -> Iterator[Row]:
    """One call of the hook callback, while records leave as fast as they come."""
    for payload in PAYLOADS:
        for processes in (1, 4):
            arguments = MEMORY | {"latency": "on"}
            yield Row("latency", "plugin", "async, in memory", "sink", payload, processes, arguments=arguments)
    # Nobody takes records: each call finds the queue full and is told so.
    full = {"mode": "async", "set.spool": "off", "set.overflow": "drop_new", "latency": "on", "full": "on"}
    yield Row("latency", "plugin", "queue full", "none", 200, 1, arguments=full)


def stages() -> Iterator[Row]:
    """What a benchmark of native/benches cannot have, because it needs a VM: a call that ends with the matching.

    Nothing arrives at a Kafka by design, so that what is counted are the calls.
    """
    arguments = MEMORY | {"rule": '{"filter": "nothing/like/it"}', "silent": "on", "latency": "on"}
    yield Row("stages", "plugin", "decode: no rule matches", "none", arguments=arguments)


FORMATS = {
    "json": {},
    "template": {"rule": '{"format": "template", "value": "${clientid} ${topic} ${ts}"}'},
    "template with a payload field": {"rule": '{"format": "template", "value": "${payload.id|none} ${ts}"}'},
    "raw": {"rule": '{"format": "raw"}'},
    "cloudevents, binary": {"rule": '{"format": "cloudevents", "mode": "binary"}'},
    "cloudevents, structured": {"rule": '{"format": "cloudevents"}'},
}


def formats() -> Iterator[Row]:
    for name, arguments in FORMATS.items():
        yield Row("formats", "plugin", name, processes=4, arguments=MEMORY | arguments)
    for headers in ("0", "5", "11"):
        yield Row("formats", "raw", f"{headers} headers", processes=4, arguments={"headers": headers})


def rules() -> Iterator[Row]:
    """So many rules, of which the last one matches."""
    for count in (1, 10, 100, 1000):
        arguments = MEMORY | {"rules": str(count), "latency": "on"}
        yield Row("rules", "plugin", f"{count} rules, the last matches", arguments=arguments)


def compression() -> Iterator[Row]:
    for codec in ("none", "lz4", "snappy", "zstd", "gzip"):
        for payload in (200, 1024):
            arguments = MEMORY | {"set.compression": codec}
            yield Row("compression", "plugin", codec, "sink", payload, 4, arguments=arguments)


def tls() -> Iterator[Row]:
    for target in ("kafka", "tls"):
        yield Row("tls", "plugin", "TLS" if target == "tls" else "plaintext", target, 1024, 4, arguments=MEMORY)


def growth() -> Iterator[Row]:
    for processes in (1, 2, 4, 16, 100, 1000):
        yield Row("processes", "plugin", f"{processes} processes", processes=processes, arguments=MEMORY)
    for payload in (16, 64, 200, 1024, 4096, 16384, 60000):
        yield Row("payload", "plugin", f"{payload} B", payload_bytes=payload, processes=4, arguments=MEMORY)
        yield Row("payload", "raw", f"{payload} B", payload_bytes=payload, processes=4)
    for partitions in (1, 4, 16, 64):
        arguments = MEMORY
        yield Row("partitions", "plugin", f"{partitions} partitions", processes=4, partitions=partitions, arguments=arguments)


GROUPS = {
    "peers": against_peers,
    "latency": latency,
    "stages": stages,
    "formats": formats,
    "rules": rules,
    "compression": compression,
    "tls": tls,
    "growth": growth,
}
