"""From the rounds to bench/results/latest.json, the table on the terminal, and what became of the targets."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable

from jobs import ROOT
from memory import VARIANT as MEMORY_FULL
from rows import Row

Rows = list[dict]


def median(values: Iterable[float]) -> float:
    return float(statistics.median(values))


def row(of: Row, results: list[dict]) -> dict:
    """One line of the results: medians over the rounds, and how far apart they were."""
    rates = [result["records_per_s"] for result in results]
    whole = {
        "group": of.group,
        "target": of.target,
        "name": of.name,
        "variant": of.variant,
        "payload_bytes": of.payload_bytes,
        "processes": of.processes,
        "partitions": of.partitions,
        "rounds": len(results),
        "records_per_s": round(median(rates)),
        "records_per_s_min": round(min(rates)),
        "records_per_s_max": round(max(rates)),
        "cpu_us_per_record": round(median(result["cpu_us_per_record"] for result in results), 3),
        "surplus": max(result["surplus"] for result in results),
        # Where nobody takes records, a queue that is full is what the row is about.
        "dropped": 0 if of.target == "none" else max(result.get("dropped", 0) for result in results),
        "version": results[0].get("version"),
        "call_us": None,
        "ticker_delay_us": None,
        "ratio_to_raw": None,
    }
    if "p50" in results[0]:
        whole["call_us"] = percentiles(results)
    if "ticker" in results[0]:
        whole["ticker_delay_us"] = percentiles([result["ticker"] for result in results])
    return whole


def percentiles(results: list[dict]) -> dict:
    return {name: round(median(result[name] for result in results), 2) for name in ("p50", "p99", "p999")}


def plain(group: str, rounds: list[list[dict]]) -> Rows:
    """Rows that were measured elsewhere, one list for each round: their medians."""
    lines = []
    for alike in zip(*rounds, strict=True):
        line = {"group": group, "target": "sink", "partitions": 4, "rounds": len(alike)} | alike[0]
        for name in ("records_per_s", "cpu_us_per_record"):
            line[name] = round(median(one[name] for one in alike), 3)
        if alike[0].get("call_us"):
            line["call_us"] = percentiles([one["call_us"] for one in alike])
        lines.append(line | {"ratio_to_raw": None})
    return lines


def document(measured: Rows, without: dict[Row, str], runs: dict[Row, list], started: float, options: argparse.Namespace) -> dict:
    for line in measured:
        limit = raw(measured, line)
        if limit and line["name"] != "mqtt":
            line["ratio_to_raw"] = round(line["records_per_s"] / limit["records_per_s"], 3)
    missing = sorted({one.name for one, reason in without.items() if reason == "missing"})
    failed = {" ".join(map(str, one.key)): reason for one, reason in without.items() if reason != "missing"}
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "minutes": round((time.time() - started) / 60, 1),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "commit": words("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "machine": machine(),
        "missing": missing,
        "failed": failed,
        "rows": measured,
    }


def raw(measured: Rows, like: dict) -> dict | None:
    """The limit for a row: the best of raw librdkafka with the same payload, target and way of producing."""
    synchronous = like["group"] == "sync"

    def comparable(line: dict) -> bool:
        same = all(line.get(key) == like.get(key) for key in ("target", "payload_bytes", "partitions", "group"))
        if like["group"] == "latency" or line["name"] != "raw" or "headers" in line["variant"]:
            return False
        return same and (not synchronous or line["processes"] == like["processes"])

    candidates = [line for line in measured if comparable(line)]
    return max(candidates, key=lambda line: line["records_per_s"], default=None)


def machine() -> dict:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[2],
        "rustc": words("rustc", "--version"),
        "otp": words("erl", "-noshell", "-eval", "io:put_chars(erlang:system_info(otp_release)), halt()."),
    }


def words(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def table(whole: dict) -> str:
    lines = [f"{'':44} {'bytes':>6} {'procs':>5} {'records/s':>10} {'of raw':>6} {'us CPU':>7} {'p50':>7} {'p99':>8} {'p99.9':>8}"]
    last = None
    for line in whole["rows"]:
        head = f"-- {line['group']}, {line['target']}"
        if head != last:
            lines.append(head)
            last = head
        if line["group"] == "memory":
            title = f"{line['name']} {line['variant']}"
            taken = f"{line['bytes_per_record']:,} bytes of memory a record, grew by {line['grew_of_bound']:.2f} of the bound"
            lines.append(f"{title:44} {line['payload_bytes']:6}       {taken}")
            continue
        call = line.get("call_us") or {}
        ratio = f"{line['ratio_to_raw']:.2f}" if line.get("ratio_to_raw") else ""
        times = " ".join(f"{call.get(name, ''):>{width}}" for name, width in (("p50", 7), ("p99", 8), ("p999", 8)))
        title = f"{line['name']} {line['variant']}"
        dropped = f" (dropped {line['dropped']:,})" if line.get("dropped") else ""
        lines.append(
            f"{title:44} {line['payload_bytes']:6} {line['processes']:5} {line['records_per_s']:10,.0f} {ratio:>6}"
            f" {line['cpu_us_per_record']:7.2f} {times}{dropped}"
        )
    for name in whole["missing"]:
        lines.append(f"{name}: missing (its application is not on ERL_LIBS)")
    for name, reason in whole["failed"].items():
        lines.append(f"FAILED {name}: {reason}")
    return "\n".join(lines)


class Results:
    """The rows, to be asked by what they are."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def get(self, group: str, name: str, variant: str, of: str, target: str = "sink", payload: int = 200, processes: int = 4) -> float | None:
        for line in self.rows:
            if (line["group"], line["name"], line["target"], line["payload_bytes"], line["processes"]) == (
                group,
                name,
                target,
                payload,
                processes,
            ) and line["variant"] == variant:
                value = line
                for part in of.split("."):
                    value = (value or {}).get(part)
                return value
        return None

    def best_sync_peer(self, processes: int) -> float | None:
        rates = [self.get("sync", peer, "sync", "records_per_s", processes=processes) for peer in ("erlkaf", "wolff", "brod")]
        return max((rate for rate in rates if rate), default=None)


def targets(whole: dict) -> str:
    """What is asked of the plugin, as ratios inside this run."""
    results = Results(whole["rows"])
    mine = "async, in memory"

    def rate(name: str, variant: str, **which: object) -> float | None:
        group = "sync" if variant == "sync" else "peers"
        return results.get(group, name, variant, "records_per_s", **which)  # type: ignore[arg-type]

    def ratio(one: float | None, other: float | None) -> float | None:
        return one / other if one and other else None

    def at_least(limit: float) -> tuple[str, Callable[[float], bool]]:
        return f">= {limit:g}", lambda value: value >= limit

    def at_most(limit: float) -> tuple[str, Callable[[float], bool]]:
        return f"<= {limit:g}", lambda value: value <= limit

    asynchronous = rate("plugin", mine)
    wanted = [
        ("records/s of raw, counting sink", results.get("peers", "plugin", mine, "ratio_to_raw"), at_least(0.75)),
        ("records/s of raw, real Kafka", results.get("peers", "plugin", mine, "ratio_to_raw", target="kafka"), at_least(0.75)),
        ("CPU us a record, counting sink", results.get("peers", "plugin", mine, "cpu_us_per_record"), at_most(2.2)),
        ("times erlkaf", ratio(asynchronous, rate("erlkaf", "async, best settings")), at_least(2)),
        ("times wolff cast", ratio(asynchronous, rate("wolff", "cast, best settings")), at_least(5)),
        ("times brod no_ack", ratio(asynchronous, rate("brod", "no_ack, best settings")), at_least(6)),
        ("times ekaf async", ratio(asynchronous, rate("ekaf", "async, best settings")), at_least(8)),
        ("hook call p50, us, 200 B", results.get("latency", "plugin", mine, "call_us.p50", processes=1), at_most(1.5)),
        ("hook call p99, us, 200 B", results.get("latency", "plugin", mine, "call_us.p99", processes=1), at_most(10)),
        ("hook call p99, us, 16 KB", results.get("latency", "plugin", mine, "call_us.p99", payload=16384, processes=1), at_most(150)),
        (
            "hook call p50, us, queue full",
            results.get("latency", "plugin", "queue full", "call_us.p50", target="none", processes=1),
            at_most(1),
        ),
        *[
            (f"memory grown, of the bound, {size} B", results.get("memory", "plugin", MEMORY_FULL, "grew_of_bound", **which), at_most(1.3))
            for size, which in ((size, {"target": "none", "payload": size, "processes": 1}) for size in (16, 16384))
        ],
        (
            "durable, nobody waiting, of async",
            ratio(rate("plugin", "durable, nobody waiting"), asynchronous),
            at_least(0.6),
        ),
        ("durable, 100 waiting, records/s", rate("plugin", "durable", processes=100), at_least(100_000)),
        ("sync, 1 caller, of the best peer", ratio(rate("plugin", "sync", processes=1), results.best_sync_peer(1)), at_least(1)),
    ]
    wanted += [
        (
            f"sync, {callers} callers, times wolff",
            ratio(rate("plugin", "sync", processes=callers), rate("wolff", "sync", processes=callers)),
            at_least(3),
        )
        for callers in (100, 1000)
    ]
    for broker, load in (("emq", "1 client window 100"), ("emq", "100 clients at 5000/s")):
        off, on = (f"{broker}, {load}, plugin {mode}" for mode in ("off", "async"))
        clients = 1 if load.startswith("1 ") else 100
        rates = [results.get("mqtt", "mqtt", variant, "records_per_s", processes=clients) for variant in (on, off)]
        times = [results.get("mqtt", "mqtt", variant, "call_us.p99", processes=clients) for variant in (on, off)]
        wanted += [
            (f"MQTT rate, on/off, {load}", ratio(*rates), at_least(0.95)),
            (f"PUBACK p99, on/off, {load}", ratio(*times), at_most(1.05)),
        ]
    lines = ["-- targets (200 B, counting sink, where nothing else is said)"]
    for title, value, (limit, holds) in wanted:
        verdict = "not measured" if value is None else f"{value:,.2f}   {'met' if holds(value) else 'MISSED'}"
        lines.append(f"{title:44} {limit:>10}   {verdict}")
    return "\n".join(lines)
