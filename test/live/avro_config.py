"""avro_config.py SCHEMA.avsc CONFIG.hocon: whether the schema is one of Avro's, and the configuration conforms to it.

Of HOCON it reads what dev/dist/emqx5_files.escript writes: a field a line, its value as JSON, or an empty block.
"""

import json
import re
import sys

import avro.io
import avro.schema

schema = avro.schema.parse(open(sys.argv[1], encoding="utf-8").read())
config = {}
for line in open(sys.argv[2], encoding="utf-8"):
    if line.strip() and not line.startswith("#"):
        field, value = re.fullmatch(r"(\w+)(?: = (.+)| \{\})\n", line).groups()
        config[field] = json.loads(value or "{}")
assert set(config) == {field.name for field in schema.fields}, set(config) ^ {field.name for field in schema.fields}
assert avro.io.validate(schema, config), "the configuration does not conform to the schema"
assert not avro.io.validate(schema, {**config, "topic": 1}), "the schema takes anything"
