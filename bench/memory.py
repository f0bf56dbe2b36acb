"""What a queued record takes: the plugin with Kafka down, its queue filled to the bound that is configured."""

from __future__ import annotations

from collections.abc import Callable

from jobs import Failed, Job, Running, resident_bytes

BOUND = 256 * 1024 * 1024
VARIANT = f"queue of {BOUND >> 20} MiB full"
PAYLOADS = (16, 200, 1024, 16384)
# Long enough to fill it, whatever the payload.
SECONDS = 3


def rows(say: Callable[..., None]) -> list[dict]:
    return [row(payload, say) for payload in PAYLOADS]


def row(payload: int, say: Callable[..., None]) -> dict:
    arguments = {
        "mode": "async",
        "full": "later",
        "seconds": str(SECONDS),
        "payload_bytes": str(payload),
        "set.spool": "off",
        "set.overflow": "drop_new",
        # The bytes are the bound that counts here.
        "set.queue_max_messages": "10000000",
        "set.queue_max_size": str(BOUND),
    }
    running = Running(Job("plugin", arguments), "127.0.0.1:1", f"memory-{payload}", 1)
    try:
        version = running.expect("ready", 30)
        before = resident_bytes(running.pid)
        running.say("go")
        sent = running.expect("sent", SECONDS + 30)
        growth = resident_bytes(running.pid) - before
        running.end()
    except Failed as failed:
        raise Failed(f"memory, {payload} B: {failed}{running.tail()}") from None
    finally:
        running.clear()
    if not sent["dropped"]:
        raise Failed(f"{SECONDS} s did not fill a queue of {BOUND} bytes with payloads of {payload} bytes: {sent}")
    ratio = growth / BOUND
    say(f"   memory, {payload} B: {sent['queued']} records queued, grew by {growth / 2**20:.0f} MiB, {ratio:.2f} of the bound")
    return version | {
        "group": "memory",
        "target": "none",
        "name": "plugin",
        "variant": VARIANT,
        "payload_bytes": payload,
        "processes": 1,
        "partitions": 1,
        "records_per_s": 0,
        "cpu_us_per_record": 0.0,
        "call_us": None,
        "queued": sent["queued"],
        "grew_bytes": growth,
        "bytes_per_record": round(growth / sent["queued"]),
        "grew_of_bound": round(ratio, 3),
        "ratio_to_raw": None,
    }
