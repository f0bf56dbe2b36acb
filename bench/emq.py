"""A broker with the plugin in it, in a directory of its own under _build/bench/: the stand-in of dev/emqttd, or a copy of an
EMQ 2.3 release, whose original is only read and may be running."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from jobs import BUILD, ROOT, Failed

PLUGIN = "emq_plugin_kafka"
MODES = ("off", "async", "durable", "sync")
# Of the plugins that a release loads, those that listen on no port and ask no server.
KEPT_PLUGINS = {"emq_modules", "emq_recon", "emq_reloader", "emq_retainer"}
LISTEN_S = 60
STOP_S = 20
COMMAND_S = 120


class Broker:
    """`with Broker(...) as broker:` is a running node, with the plugin installed and not loaded."""

    def __init__(self, home: str | None, kafka: str, topic: str, say: Callable[[str], None]) -> None:
        self.original = Path(home).resolve() if home else None
        self.kind = "emq" if home else "standin"
        self.home = BUILD / f"broker-{self.kind}"
        self.kafka = kafka
        self.topic = topic
        self.say = say
        self.mode = "off"
        self.port = 0
        self.pid = 0
        self.epmd_was_up = epmd("-names")

    def __enter__(self) -> Broker:
        if pid := self.running():
            raise Failed(f"a broker runs from {self.home} already (pid {pid}): stop it first")
        self.make()
        self.configure()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def make(self) -> None:
        if self.original:
            copy_release(self.original, self.home)
        else:
            run([ROOT / "dev/emqttd/build", self.home])
        run([ROOT / "dev/install/install", self.home])

    def configure(self) -> None:
        """Ports that are free, a node name and a spool of its own; else the plugin as it is installed."""
        self.port = free_port(1883)
        emq = self.home / "etc/emq.conf"
        drop_listeners(emq)
        settings = {"node.name": f"{PLUGIN}_bench@127.0.0.1", "mqtt.allow_anonymous": "true"}
        set_conf(emq, settings | {"listener.tcp.external": f"127.0.0.1:{self.port}"})
        self.set_plugin(server=self.kafka, topic=self.topic)

    def set_plugin(self, **settings: str) -> None:
        conf = self.home / f"etc/plugins/{PLUGIN}.conf"
        set_conf(conf, {f"emq.plugin.kafka.{key}": value for key, value in settings.items()})

    def start(self) -> None:
        self.say(f"starting the broker in {self.home}")
        run([self.home / "bin/emqttd", "start"])
        deadline = time.monotonic() + LISTEN_S
        # A real EMQ says that it has started when its VM answers, and opens its listeners last.
        while not listens(self.port):
            if time.monotonic() > deadline:
                raise Failed(f"the broker in {self.home} does not listen on port {self.port} after {LISTEN_S} s")
            time.sleep(0.2)
        self.pid = self.running()
        if not self.pid:
            raise Failed(f"no node of {self.home} runs: who listens on port {self.port}?")

    def stop(self) -> None:
        if pid := self.running():
            self.say(f"stopping the broker (pid {pid})")
            try:
                run([self.home / "bin/emqttd", "stop"])
                gone(pid, STOP_S)
            except Failed as reason:
                self.say(f"{reason}: killing pid {pid}")
                os.kill(pid, signal.SIGKILL)
        # Erlang's name daemon outlives the nodes that started it; it refuses to end while it still knows one.
        if not self.epmd_was_up:
            epmd("-kill")

    def running(self) -> int:
        """The process of the node that was booted from here, 0 if there is none."""
        boot = re.compile(re.escape(f"{self.home}/releases/").encode() + rb"[^/]+/emqttd")
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended while it was looked at.
            if any(boot.fullmatch(word) for word in words):
                return int(entry.parent.name)
        return 0

    def ctl(self, *words: str) -> str:
        return run([self.home / "bin/emqttd_ctl", *words])

    def switch(self, mode: str) -> None:
        """Loads the plugin with this `produce`, or unloads it."""
        if mode == self.mode:
            return
        if mode == "off":
            self.ctl("plugins", "unload", PLUGIN)
        else:
            self.set_plugin(produce=mode)
            if self.mode == "off":
                self.ctl("plugins", "load", PLUGIN)
            # Loading uses what was read at boot.
            self.ctl("kafka", "reload")
            status = self.lines("status")
            if (status.get("state"), status.get("produce")) != ("running", mode):
                raise Failed(f"the plugin is not running with produce = {mode}: {status}")
        self.mode = mode

    def stats(self) -> dict[str, int]:
        """The plugin's counters."""
        return {name: int(value) for name, value in self.lines("stats").items() if value.isdecimal()}

    def lines(self, question: str) -> dict[str, str]:
        pairs = (line.partition(":") for line in self.ctl("kafka", question).splitlines())
        return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def copy_release(original: Path, copy: Path) -> None:
    """All but the state of its node; of its loaded plugins those that can run anywhere."""
    shutil.rmtree(copy, ignore_errors=True)
    state = {str(original / name) for name in ("data", "log")}
    shutil.copytree(
        original, copy, symlinks=True, ignore=lambda folder, names: [n for n in names if f"{folder}/{n}" in state]
    )
    for folder in ("data/configs", "data/mnesia", "log"):
        (copy / folder).mkdir(parents=True)
    loaded = original / "data/loaded_plugins"
    names = loaded.read_text().replace(".", " ").split() if loaded.exists() else []
    (copy / "data/loaded_plugins").write_text("".join(f"{name}.\n" for name in names if name in KEPT_PLUGINS))
    # The plugin is measured with its defaults, whatever is set in the original.
    for conf in (copy / "etc/plugins").glob(f"{PLUGIN}.conf*"):
        conf.unlink()


def drop_listeners(emq_conf: Path) -> None:
    """All but the settings of the one for MQTT on TCP."""
    lines = emq_conf.read_text().splitlines(keepends=True)
    emq_conf.write_text("".join(line for line in lines if not re.match(r"\s*listener\.(?!tcp\.external\b)", line)))


def set_conf(conf: Path, settings: dict[str, str]) -> None:
    lines = [line for line in conf.read_text().splitlines() if line.partition("=")[0].strip() not in settings]
    lines += [f"{key} = {value}" for key, value in settings.items()]
    conf.write_text("\n".join(lines) + "\n")


def run(command: list[Path | str]) -> str:
    """What a command says; it runs on loopback as all that is measured here."""
    words = [str(word) for word in command]
    environment = os.environ | {"ERL_EPMD_ADDRESS": "127.0.0.1"}
    try:
        # The broker that a command starts must not hold a pipe that is read to its end here.
        with tempfile.TemporaryFile("w+") as log:
            done = subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, env=environment, timeout=COMMAND_S)
            log.seek(0)
            said = log.read()
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(words)}: not done after {COMMAND_S} s") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)} ended with {done.returncode}: {said.strip()}")
    return said


def epmd(option: str) -> bool:
    """Whether Erlang's name daemon was there to obey."""
    environment = os.environ | {"ERL_EPMD_ADDRESS": "127.0.0.1"}
    return subprocess.run(["epmd", option], capture_output=True, env=environment).returncode == 0


def free_port(preferred: int) -> int:
    return int(run([ROOT / "dev/free-port", str(preferred)]))


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def gone(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise Failed(f"it did not stop in {seconds:.0f} s")
        time.sleep(0.1)
