"""Prints docs/events.md, made from the JSON Schemas of the events:

  events.py SCHEMAS

An event or a field is described by the first sentence of its description there. "EMQX 5: " and the like before the sentence says which
brokers have it. Only the introduction and the families of events are written here.
"""

import json
import re
import sys
from pathlib import Path

INTRODUCTION = """# Events

This page says which events exist, when they occur, and which fields their JSON has. `make docs` writes it from
[`schemas/`](../schemas/message.publish.schema.json), which has all details.

- Without [rules](rules.md), the plugin sends the events in **bold**.
- "on" names the brokers. `4, 5`: EMQX 4 and 5. `5`: EMQX 5. `MQTT 5`: EMQX, for MQTT 5 clients. Empty: all.
- `?`: the field may be missing.
- Times are ms since 1970, durations seconds.
- Text that is not UTF-8 is base64, with `NAME_encoding` beside it.
"""

# What is sent without rules.
DEFAULTS = ["client.connected", "client.disconnected", "session.subscribed", "session.unsubscribed", "message.publish"]

# Each family: its title, the field that marks its events, and the family whose fields they have too.
FAMILIES = [("Connections", "keepalive", None), ("Sessions", None, None), ("Subscriptions", "opts", None), ("Messages", "payload", None),
            ("Deliveries", "publisher", "Messages")]

# The order in a family.
ORDER = ["connect", "connack", "connected", "disconnected", "created", "resumed", "takenover", "discarded", "terminated", "subscribe",
         "subscribed", "unsubscribe", "unsubscribed", "publish", "puback", "delivered", "acked", "dropped", "completed"]

BROKERS = {"EMQX 4 and 5": "4, 5", "EMQX 5": "5", "MQTT 5": "MQTT 5"}
TYPES = {"string": "text", "array": "list"}
FIELDS = ["field", "type", "on", "meaning"]


def code(name):
    return f"`{name}`"


def listed(names):
    return ", ".join(map(code, names))


def described(schema):
    """Which brokers have it, and the first sentence of its description."""
    where, text = re.fullmatch(r"(?:(EMQX 4 and 5|EMQX 5|MQTT 5): )?(.+)", schema["description"]).groups()
    return BROKERS.get(where, ""), re.match(r".*?\S\.(?= |$)", text)[0]


def type_of(schema):
    """The type in words, or the choices."""
    if "enum" in schema:
        return listed(schema["enum"])
    types = schema.get("type", "string")
    return ", ".join(TYPES.get(kind, kind) for kind in ([types] if isinstance(types, str) else types))


def fields_of(schema):
    """Each field of an object and what the page says of it: type, brokers, meaning."""
    fields = {}
    for name, field in schema["properties"].items():
        if name.endswith("_encoding") and name != "payload_encoding":
            continue
        where, meaning = described(field)
        # The members of an object are named; the schema describes them.
        if "properties" in field and name != "message":
            meaning = f"{meaning.rstrip('.')}: {listed(field['properties'])}."
        fields[name] = (type_of(field) + ("" if name in schema["required"] else "?"), where, meaning)
    return fields


def table(heading, rows):
    lines = [f"| {' | '.join(cells)} |" for cells in [heading, *rows]]
    lines.insert(1, "|" + "-|" * len(heading))
    return re.sub(" +", " ", "\n".join(lines)) + "\n"


class Event:
    def __init__(self, file):
        self.schema = json.loads(file.read_text("utf-8"))
        self.name = self.schema["title"]
        self.message = fields_of(self.schema["properties"]["message"])
        client = described(self.schema["properties"]["client_id"])[1]
        self.client = re.fullmatch(r"Client ID of the (\w+)\.", client)[1]

    def family(self):
        """The last one whose mark it has; what has none is a session's."""
        return ([title for title, mark, _ in FAMILIES if mark in self.message] or [title for title, mark, _ in FAMILIES if not mark])[-1]

    def row(self):
        where, when = described(self.schema)
        kind = self.schema["properties"]["type"]
        name = f"**{code(self.name)}**" if self.name in DEFAULTS else code(self.name)
        return [name, listed(kind.get("enum", [kind.get("const")])), where, when]


def shared(events):
    """The fields that all events have, each as most of them have it."""
    names = [name for name in events[0].message if all(name in event.message for event in events)]
    says = {name: [event.message[name] for event in events] for name in names}
    return {name: max(says[name], key=says[name].count) for name in names}


def short(names):
    """Without the first word, where each has the same."""
    return [name.split(".")[1] for name in names] if len({name.split(".")[0] for name in names}) == 1 else names


def field_rows(events, known):
    """A row for what fields have in common; which events, where not all of the family have it."""
    found = {}
    for event in events:
        for name, says in event.message.items():
            if known.get(name, says)[-1] != says[-1] or name not in known:
                found.setdefault((name, says), []).append(event.name)
    rows = {}
    for (name, says), names in found.items():
        rows.setdefault((says, tuple(names)), []).append(name)
    for ((kind, where, meaning), names), fields in rows.items():
        yield [listed(fields), kind, where, meaning + ("" if len(names) == len(events) else f" Only {listed(short(names))}.")]


def around(events, families):
    """The fields around `message`."""
    clients = {title: {event.client for event in family} for title, family in families.items()}
    others = [f"{client} in {title}" for title, (client,) in clients.items() if client != "client"]
    fields = fields_of(events[0].schema)
    fields["type"] = ("text", "", "Kind of the event, see below.")
    fields["client_id"] = ("text", "", f"Client ID of the client ({', '.join(others)}).")
    return [[code(name), *says] for name, says in fields.items() if name != "message"]


def everywhere(events, known):
    """The fields that other events have on some brokers only."""
    names = [name for name, says in shared(events).items() if name in known and known[name][1] and not says[1]]
    return f"On every broker: {listed(names)}.\n\n" if names else ""


def page(events):
    families = {title: [event for event in events if event.family() == title] for title, *_ in FAMILIES}
    common = shared(events)
    yield INTRODUCTION + "\n## Every record\n\n" + table(FIELDS, around(events, families))
    yield "\nAnd `message`, which has in every event:\n\n" + table(FIELDS, ([code(name), *says] for name, says in common.items()))
    for title, _mark, parent in FAMILIES:
        known = common | (shared(families[parent]) if parent else {})
        beside = f"`message` has the fields of {parent}, and:\n\n" if parent else everywhere(families[title], known)
        yield (f"\n## {title}\n\n" + table(["event", "`type`", "on", "when"], (event.row() for event in families[title])) + "\n" + beside
               + table(FIELDS, field_rows(families[title], known)))


if len(sys.argv) != 2:
    sys.exit(f"usage: see the head of {sys.argv[0]}")
sys.stdout.reconfigure(encoding="utf-8")
sys.stdout.writelines(page(sorted(map(Event, Path(sys.argv[1]).glob("*.schema.json")),
                                  key=lambda event: (ORDER.index(event.name.split(".")[1]), event.name))))
