#!/usr/bin/python3
"""validate.py SCHEMA_DIR: validates records against the JSON Schema of their event.

Reads lines {"event": "client.connected", "record": {...}} on standard input. Writes a line "EVENT VALID REFUSED" for each
event, with what is wrong with the refused ones on standard error. Exits with 0 only where none was refused; with 2 where a
line or a schema is none.

Debian's python3-jsonschema does the work: hence Debian's own Python above.
"""

import collections
import json
import pathlib
import sys

import jsonschema


def main(directory):
    validators = {}
    for path in pathlib.Path(directory).glob("*.schema.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        # A wrong schema must not pass for one that allows everything.
        jsonschema.Draft202012Validator.check_schema(schema)
        validators[path.name.removesuffix(".schema.json")] = jsonschema.Draft202012Validator(schema)
    valid, refused = collections.Counter(), collections.Counter()
    for number, line in enumerate(sys.stdin.buffer, 1):
        entry = json.loads(line)
        event = entry["event"]
        errors = list(validators[event].iter_errors(entry["record"]))
        for error in errors:
            print(f"line {number}: {event}: {error.json_path}: {error.message}", file=sys.stderr)
        (refused if errors else valid)[event] += 1
    for event in sorted(valid.keys() | refused.keys()):
        print(event, valid[event], refused[event])
    return 1 if refused else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (IndexError, KeyError, ValueError, OSError, jsonschema.SchemaError) as problem:
        print(f"validate.py: {problem!r}", file=sys.stderr)
        sys.exit(2)
