#!/usr/bin/env python3
"""licences.py TARGET DIR VENV: writes into DIR the licence texts of all that the portable NIF library holds.

They come from the very sources that were compiled: cargo's own copy of each crate, the C libraries inside the -sys
crates, the Rust standard library and zig's run time. A missing text is an error. DIR/README.txt lists them all.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "emq_plugin_kafka_nif"
TEXTS = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")

# Library, the crate that carries its source, its licence texts there. lz4, which librdkafka builds its own copy of, and
# the other code in librdkafka are in LICENSES.txt.
C_LIBRARIES = [
    ("librdkafka", "rdkafka-sys", ["librdkafka/LICENSE", "librdkafka/LICENSES.txt"]),
    ("openssl", "openssl-src", ["openssl/LICENSE.txt"]),
    ("zlib", "libz-sys", ["src/zlib/LICENSE"]),
    ("zstd", "zstd-sys", ["zstd/LICENSE"]),
]


def fail(message):
    sys.exit(f"licences: {message}")


def cargo_metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target,
               "--no-default-features", "--features", f"{PACKAGE}/portable,{PACKAGE}/nif"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(metadata):
    """The crates whose code is in the library: what it depends on, without build tools and procedural macros."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, todo = set(), [id for id, package in packages.items() if package["name"] == PACKAGE]
    while todo:
        package = todo.pop()
        if package in found or any("proc-macro" in target["kind"] for target in packages[package]["targets"]):
            continue
        found.add(package)
        todo += [dep["pkg"] for dep in nodes[package]["deps"]
                 if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return [packages[id] for id in found if packages[id]["name"] != PACKAGE]


def folder(package):
    return Path(package["manifest_path"]).parent


def own_texts(package):
    return sorted(path for path in folder(package).iterdir() if path.is_file() and path.name.upper().startswith(TEXTS))


def crate_texts(package, packages):
    """The texts in the crate; where it has none, those of another crate of its repository, or Apache's where it may
    be used under that."""
    texts = own_texts(package)
    if not texts and package["repository"]:
        texts = next((own_texts(other) for other in packages
                      if other["repository"] == package["repository"] and own_texts(other)), [])
    if not texts and "Apache-2.0" in (package["license"] or ""):
        texts = [ROOT / "LICENSE"]
    return texts


def rust_texts():
    """rustup's toolchains and Debian's packages keep the standard library's copyright in different places."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, stdout=subprocess.PIPE, text=True).stdout
    rustup = Path(sysroot.strip()) / "share/doc/rust"
    if rustup.is_dir():
        return [rustup / "COPYRIGHT-library.html", *sorted((rustup / "licenses").iterdir())]
    return [Path("/usr/share/doc/libstd-rust-web-dev/copyright")]


def main(target, directory, venv):
    metadata = cargo_metadata(target)
    packages = metadata["packages"]
    by_name = {package["name"]: package for package in packages}
    entries = []
    for package in linked(metadata):
        name = f"{package['name']}-{package['version']}"
        licence = (package["license"] or "").replace("/", " OR ") or fail(f"{name} names no licence")
        entries.append((f"crates/{name}", licence, crate_texts(package, packages)))
    for library, crate, names in C_LIBRARIES:
        package = by_name.get(crate) or fail(f"{library}: crate {crate} is not built")
        source = f"source in crate {crate}-{package['version']}"
        entries.append((library, source, [folder(package) / name for name in names]))
    entries.append(("rust-std", "the Rust standard library", rust_texts()))
    zig = next(Path(venv).glob("lib/python3*/site-packages/ziglang"), None) or fail(f"no ziglang in {venv}")
    entries.append(("llvm-libunwind", "from zig's lib/libunwind", [zig / "lib/libunwind/LICENSE.TXT"]))
    entries.append(("zig", "compiler-rt", [zig / "LICENSE"]))

    lines = ["What priv/emq_plugin_kafka_nif.so holds beside this project's own code, and under which terms.", ""]
    for name, what, texts in sorted(entries):
        if not texts:
            fail(f"no licence text for {name}")
        os.makedirs(f"{directory}/{name}")
        for text in texts:
            if not text.is_file():
                fail(f"{name}: {text} is missing")
            shutil.copyfile(text, f"{directory}/{name}/{text.name}")
        lines.append(f"{name}: {what}")
    Path(directory, "README.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
