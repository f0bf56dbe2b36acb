#!/usr/bin/env python3
"""The plots of bench/results/latest.json, as SVG beside it, drawn by gnuplot.

Usage: plots.py [DIR]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STYLE = """
set terminal svg size {width},{height} font "sans-serif,13" background "#ffffff"
set border 3 lc rgb "#808080"
set tics nomirror
set grid ytics lc rgb "#e0e0e0"
set key top left reverse Left
"""
COLOURS = {"raw": "#9e9e9e", "plugin": "#d84315", "erlkaf": "#1565c0", "wolff": "#2e7d32", "brod": "#6a1b9a", "ekaf": "#ef6c00"}
BEST = {
    "raw": "async",
    "plugin": "async, in memory",
    "erlkaf": "async, best settings",
    "wolff": "cast, best settings",
    "brod": "no_ack, best settings",
    "ekaf": "async, best settings",
}


def main() -> None:
    results = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("results"))
    rows = json.loads((results / "latest.json").read_text())["rows"]
    for name, script in (("throughput", throughput(rows)), ("latency", latency(rows)), ("growth", growth(rows))):
        if script:
            draw(results / f"{name}.svg", script)


def draw(path: Path, script: str) -> None:
    subprocess.run(["gnuplot"], input=f'{script}\nset output\n'.replace("OUTPUT", str(path)), text=True, check=True)
    print(f"written: {path}")


def style(width: int, height: int) -> str:
    return STYLE.format(width=width, height=height) + 'set output "OUTPUT"\n'


def throughput(rows: list[dict]) -> str:
    """Everybody at their best settings, 200 B, four processes: on the counting Kafka and on a real one."""
    data, index = [], 0
    for name, variant in BEST.items():
        rates = [
            next(
                (
                    row["records_per_s"]
                    for row in rows
                    if (row["group"], row["target"], row["name"], row["variant"], row["payload_bytes"], row["processes"])
                    == ("peers", target, name, variant, 200, 4)
                ),
                None,
            )
            for target in ("sink", "kafka")
        ]
        if any(rates):
            index += 1
            # Not 0: who was not measured has no bar.
            counting, real = (f"{rate / 1000}" if rate else "NaN" for rate in rates)
            data.append(f'"{name}" {counting} {real} {colour(name)}')
    if not data:
        return ""
    body = "\n".join(data)
    return f"""{style(760, 380)}
set title "Thousand records/s that Kafka has: 200 B payloads, 4 processes, best settings of each"
set boxwidth 0.38
set style fill solid
set yrange [0:*]
set xrange [-0.6:{index - 0.4}]
set key top right
$data << EOD
{body}
EOD
plot $data using ($0-0.2):2:4:xtic(1) with boxes lc rgb variable title "counting Kafka", \\
     $data using ($0+0.2):3:4 with boxes fs pattern 4 lc rgb variable title "Apache Kafka", \\
     $data using ($0-0.2):2:(sprintf("%.0f", $2)) with labels offset 0,0.6 notitle, \\
     $data using ($0+0.2):3:(sprintf("%.0f", $3)) with labels offset 0,0.6 notitle
"""


def colour(name: str) -> int:
    return int(COLOURS[name].removeprefix("#"), 16)


def latency(rows: list[dict]) -> str:
    """One hook call, by payload, and the PUBACK with the plugin off and on."""
    calls = [row for row in rows if row["group"] == "latency" and row["variant"] == "async, in memory" and row["processes"] == 1]
    if not calls:
        return ""
    lines = "\n".join(
        f"{row['payload_bytes']} {row['call_us']['p50']} {row['call_us']['p99']} {row['call_us']['p999']}"
        for row in sorted(calls, key=lambda row: row["payload_bytes"])
    )
    return f"""{style(760, 380)}
set title "One hook call, while records leave as fast as they come"
set xlabel "payload, bytes"
set ylabel "us"
set logscale xy
$data << EOD
{lines}
EOD
plot $data using 1:2 with linespoints lw 2 lc rgb "#2e7d32" title "p50", \\
     $data using 1:3 with linespoints lw 2 lc rgb "#ef6c00" title "p99", \\
     $data using 1:4 with linespoints lw 2 lc rgb "#c62828" title "p99.9"
"""


def growth(rows: list[dict]) -> str:
    """How throughput grows with processes, payload and partitions."""

    def series(group: str, by: str, name: str = "plugin") -> str:
        chosen = sorted((row for row in rows if row["group"] == group and row["name"] == name), key=lambda row: row[by])
        return "\n".join(f"{row[by]} {row['records_per_s'] / 1000} {row['records_per_s'] * row['payload_bytes'] / 1e6}" for row in chosen)

    processes, partitions = series("processes", "processes"), series("partitions", "partitions")
    payload, limit = series("payload", "payload_bytes"), series("payload", "payload_bytes", "raw")
    if not (processes and partitions and payload and limit):
        return ""
    return f"""{style(1080, 380)}
set multiplot layout 1,3
set yrange [0:*]
set logscale x
set ylabel "thousand records/s"
$processes << EOD
{processes}
EOD
$partitions << EOD
{partitions}
EOD
$payload << EOD
{payload}
EOD
$limit << EOD
{limit}
EOD
set xlabel "processes (200 B)"
plot $processes using 1:2 with linespoints lw 2 lc rgb "#d84315" notitle
set xlabel "partitions (200 B)"
plot $partitions using 1:2 with linespoints lw 2 lc rgb "#d84315" notitle
set xlabel "payload, bytes"
set ylabel "MB/s of payload"
plot $payload using 1:3 with linespoints lw 2 lc rgb "#d84315" title "plugin", \\
     $limit using 1:3 with linespoints lw 2 lc rgb "#9e9e9e" title "raw librdkafka"
unset multiplot
"""


if __name__ == "__main__":
    main()
