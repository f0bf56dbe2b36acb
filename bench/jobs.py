"""One measurement: a program that produces to a topic of its own, and what the broker's end offsets say of it.

The program (bench/src/bin/raw.rs, or an Erlang VM with bench/erl/bench_job.erl) says `ready`, works when told `go`, says `sent`
with what it counted itself, and ends when told `stop`.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build" / "bench"
BINARIES = ROOT / "target" / "release"
READY_S = 30
DRAINED_S = 60
TICKS = os.sysconf("SC_CLK_TCK")
TOPICS = itertools.count(1)


class Failed(Exception):
    """A measurement that cannot be had; the reason in words."""


class Missing(Failed):
    """The client is not on this machine."""


@dataclass
class Job:
    """What to run: a program and its arguments."""

    program: str
    arguments: dict[str, str] = field(default_factory=dict)


class Offsets:
    """The end offsets of a Kafka, asked through bench/src/bin/offsets.rs."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.process = subprocess.Popen(
            [BINARIES / "offsets", servers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, *words: object) -> list[str]:
        assert self.process.stdin and self.process.stdout
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] == "error":
            raise Failed(f"offsets: {' '.join(map(str, words))}: {' '.join(answer[1:]) or 'it ended'}")
        return answer

    def create(self, partitions: int) -> str:
        topic = f"bench-{os.getpid()}-{next(TOPICS)}-p{partitions}"
        self.ask("create", topic, partitions)
        return topic

    def delete(self, topic: str) -> None:
        self.ask("delete", topic)

    def sum(self, topic: str) -> int:
        return int(self.ask("sum", topic)[1])

    def wait(self, topic: str, count: int, seconds: int) -> tuple[bool, int]:
        answer = self.ask("wait", topic, count, seconds)
        return answer[0] == "reached", int(answer[1])

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


def cpu_seconds(pid: int) -> float:
    """What a process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"no resident size of process {pid}")


class Running:
    """A program that was started, and the lines it says."""

    def __init__(self, job: Job, servers: str, topic: str, partitions: int) -> None:
        arguments = {"servers": servers, "topic": topic, "partitions": str(partitions)} | job.arguments
        words = [f"{key}={value}" for key, value in arguments.items()]
        # A spool, and whatever else a client writes, goes into a directory that is gone afterwards.
        self.directory = BUILD / "work" / topic
        self.directory.mkdir(parents=True, exist_ok=True)
        self.errors = BUILD / "log" / f"{topic}.log"
        self.errors.parent.mkdir(parents=True, exist_ok=True)
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command(job) + words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                cwd=self.directory,
            )
        self.pid = self.process.pid

    def expect(self, word: str, seconds: float) -> dict:
        """The JSON behind the word."""
        assert self.process.stdout
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        said, _, rest = line.strip().partition(" ")
        if said == "missing":
            raise Missing(rest)
        if said != word:
            raise Failed(f"expected `{word}` in {seconds:.0f} s, got {line.strip()!r}")
        return json.loads(rest or "{}")

    def say(self, word: str) -> None:
        assert self.process.stdin
        try:
            print(word, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise Failed(f"it ended before `{word}`") from None

    def tail(self) -> str:
        """What it said of a failure."""
        lines = self.errors.read_text(errors="replace").strip().splitlines()
        return f" ({self.errors}: {' | '.join(lines[:4])})" if lines else ""

    def end(self) -> None:
        self.say("stop")
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed(f"it did not end in 60 s") from None
        if status != 0:
            raise Failed(f"it ended with {status}")

    def clear(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        shutil.rmtree(self.directory, ignore_errors=True)


# A scheduler of the VM that has nothing to do spins for a while. Where nobody waits for answers that would be counted as the
# cost of records.
NO_SPINNING = ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]


def command(job: Job) -> list[str]:
    if job.program == "raw":
        return [str(BINARIES / "raw")]
    flags = [] if job.arguments.get("mode") in ("sync", "durable") else NO_SPINNING
    # The plugin is found as an application of the repository's own folder, peers by ERL_LIBS.
    code = ["-pa", str(BUILD / "ebin"), str(ROOT / "ebin")]
    return ["erl", "-noshell", "+P", "262144", *flags, *code, "-s", "bench_job", "-extra", f"adapter={job.program}"]


def measure(job: Job, servers: str, offsets: Offsets | None, partitions: int = 4) -> dict:
    """Runs a job on a topic of its own: {records, records_per_s, cpu_us_per_record, version, ...}.

    Without offsets nobody takes records, and the job is about that, or makes none: its own count of calls is what counts.
    """
    topic = offsets.create(partitions) if offsets else "bench"
    running = Running(job, servers, topic, partitions)
    try:
        version = running.expect("ready", READY_S)
        before = offsets.sum(topic) if offsets else 0
        cpu, start = cpu_seconds(running.pid), time.monotonic()
        running.say("go")
        sent = running.expect("sent", int(job.arguments.get("seconds", "2")) + DRAINED_S)
        records = sent["records"]
        if offsets:
            # Publishers that cannot wait lose what a disk that does not keep up has no room for; the row tells of it.
            records = drained(running, offsets, topic, before, records - sent.get("dropped", 0))
        elapsed, used = time.monotonic() - start, cpu_seconds(running.pid) - cpu
        running.end()
        if sent.pop("failed") or not records:
            raise Failed(f"{sent}: some failed")
        # What came twice: a client that sends again what was taken.
        surplus = offsets.sum(topic) - before - records if offsets else 0
        rates = {"records_per_s": records / elapsed, "cpu_us_per_record": used / records * 1e6}
        return version | sent | {"records": records, "surplus": surplus} | rates
    except Failed as failed:
        raise type(failed)(f"{failed}{running.tail()}") from None
    finally:
        running.clear()
        if offsets:
            offsets.delete(topic)


def drained(running: Running, offsets: Offsets, topic: str, before: int, sent: int) -> int:
    """Waits until all of them are in Kafka."""
    start = time.monotonic()
    reached, seen = offsets.wait(topic, before + sent, DRAINED_S)
    if not reached:
        reason = f"{sent} records sent, {seen - before} in Kafka after {time.monotonic() - start:.0f} s"
        # It may have something to say of where they are.
        try:
            running.end()
        except Failed as failed:
            reason += f"; {failed}"
        raise Failed(reason)
    return seen - before
