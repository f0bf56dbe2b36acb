#!/usr/bin/env python3
"""`make bench`: every client side by side, in alternating rounds, and what the brokers' end offsets say of them.

Usage: bench.py [--rounds N] [--only GROUP,...] [--seconds N] [--results DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import memory
import mqtt
import report
import rows
from brokers import Brokers
from jobs import Failed, Job, Missing

GROUPS = (*rows.GROUPS, "memory", "mqtt")


def say(*words: object) -> None:
    print(*words, flush=True)


def main() -> int:
    options = arguments()
    wanted = [row for group in options.only if group in rows.GROUPS for row in rows.GROUPS[group]()]
    runs: dict[rows.Row, list[dict]] = {row: [] for row in wanted}
    without: dict[rows.Row, str] = {}
    started = time.time()
    with Brokers({row.target for row in wanted} | ({"sink"} if "mqtt" in options.only else set()), say) as brokers:
        for number in range(1, options.rounds + 1):
            say(f"== round {number} of {options.rounds}: {len(runs) - len(without)} measurements")
            for row in runs:
                if row not in without:
                    one(row, runs[row], without, brokers, options.seconds)
        measured = [report.row(row, results) for row, results in runs.items() if results]
        if "memory" in options.only:
            measured += memory.rows(say)
        if "mqtt" in options.only:
            for home in dict.fromkeys([None, os.environ.get("EMQ_HOME") or None]):
                measured += report.plain("mqtt", mqtt.rounds(home, brokers.address("sink"), options.rounds, say))
    whole = report.document(measured, without, runs, started, options)
    results = Path(options.results)
    results.mkdir(parents=True, exist_ok=True)
    (results / "latest.json").write_text(json.dumps(whole, indent=1) + "\n")
    text = f"{report.table(whole)}\n{report.targets(whole)}\n"
    (results / "latest.txt").write_text(text)
    say(text)
    say(f"written: {results / 'latest.json'}")
    subprocess.run([sys.executable, Path(__file__).with_name("plots.py"), results], check=True)
    return 1 if any(reason != "missing" for reason in without.values()) else 0


def one(row: rows.Row, results: list[dict], without: dict[rows.Row, str], brokers: Brokers, seconds: int) -> None:
    """Measures a row once. What cannot be measured is said, and not tried again."""
    job = Job(row.name, row.words() | {"seconds": str(seconds)} | brokers.arguments(row.target, row.name))
    try:
        result = jobs.measure(job, brokers.address(row.target), brokers.offsets(row.target), row.partitions)
    except Missing as missing:
        say(f"   {row.name}: missing ({missing} is not on ERL_LIBS)")
        without[row] = "missing"
        return
    except Failed as failed:
        say(f"   {' '.join(map(str, row.key))}: FAILED: {failed}")
        without[row] = str(failed)
        return
    results.append(result)
    latency = f", call p50 {result['p50']:.2f} p99 {result['p99']:.1f} us" if "p50" in result else ""
    say(
        f"   {row.target:5} {row.name:7} {row.variant:28} {row.payload_bytes:6} B x{row.processes:<5}"
        f" {result['records_per_s']:10,.0f}/s {result['cpu_us_per_record']:7.2f} us CPU{latency}"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each row is measured (3)")
    parser.add_argument("--seconds", type=int, default=2, help="how long each measurement produces (2)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(GROUPS), help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--results", default=str(jobs.ROOT / "bench" / "results"), help="directory of latest.json and the plots")
    options = parser.parse_args()
    unknown = set(options.only) - set(GROUPS)
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    return options


if __name__ == "__main__":
    # Ended from outside, it still stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"bench: {failed}")
