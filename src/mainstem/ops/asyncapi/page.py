"""An AsyncAPI document as one HTML page that needs nothing else: no network, no server, no build."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import NamedTuple

from mainstem.ops.asyncapi.fields import Field, fields_of
from mainstem.ops.asyncapi.payloads import Json
from mainstem.ops.screen import length_of


class Use(NamedTuple):
    """An operation, as it is told of beside what it uses."""

    name: str
    action: str
    channel: str
    messages: tuple[str, ...]
    services: tuple[str, ...]
    about: str


def page_of(document: Json) -> str:
    """The page. Everything that comes from the document is escaped."""
    info, uses = _part(document, "info"), list(_uses(document))
    title = escape(str(info["title"]))
    sections = [*_services(info, uses), *_topics(document, uses), *_events(document, uses)]
    return _FRAME.format(
        title=title,
        version=escape(str(info["version"])),
        style=_resource("page.css"),
        script=_resource("page.js"),
        contents="\n".join(_contents(document)),
        body="\n".join(sections),
        document=_embedded(document),
    )


_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<nav>
<input id="search" type="search" placeholder="Search" aria-label="Search">
{contents}
</nav>
<main>
<h1>{title} <small>{version}</small></h1>
{body}
</main>
<script type="application/json" id="document">{document}</script>
<script>
{script}</script>
</body>
</html>
"""


def _resource(name: str) -> str:
    return files("mainstem.ops.asyncapi").joinpath(name).read_text(encoding="utf-8")


def _embedded(document: Json) -> str:
    """The document itself, for whoever saves the page; nothing in it can end the element that it stands in."""
    return json.dumps(document).replace("<", "\\u003c")


def _part(of: Mapping[str, object], name: str) -> Json:
    found = of.get(name, {})
    assert isinstance(found, dict), "the document is our own"
    return found


def _named(reference: object) -> str:
    return str(_part({"it": reference}, "it")["$ref"]).rpartition("/")[2]


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _uses(document: Json) -> Iterator[Use]:
    for name, operation in _part(document, "operations").items():
        it = _part({name: operation}, name)
        tags = tuple(str(_part({"tag": each}, "tag")["name"]) for each in _listed(it["tags"]))
        messages = tuple(map(_named, _listed(it["messages"])))
        yield Use(name, str(it["action"]), _named(it["channel"]), messages, tags, str(it.get("summary", "")))


def _contents(document: Json) -> Iterator[str]:
    for title, part, prefix in (
        ("Topics", _part(document, "channels"), "topic"),
        ("Events", _part(_part(document, "components"), "messages"), "event"),
    ):
        items = "".join(f"<li data-find>{_link(prefix, name)}</li>" for name in part)
        yield f"<h2>{title}</h2>\n<ul>{items}</ul>"


def _link(prefix: str, name: str) -> str:
    return f'<a href="#{prefix}-{escape(name)}">{escape(name)}</a>'


def _services(info: Json, uses: Sequence[Use]) -> Iterator[str]:
    rows = []
    for tag in _listed(info["tags"]):
        name = str(_part({"tag": tag}, "tag")["name"])
        theirs = [each for each in uses if each.services[0] == name]
        read, sent = (
            sorted({message for each in theirs if each.action == action for message in each.messages})
            for action in ("receive", "send")
        )
        rows.append((escape(name), _links("event", read), _links("event", sent)))
    yield "<h2>Services</h2>" + _table(("service", "handles", "publishes"), rows)


def _links(prefix: str, names: Iterable[str]) -> str:
    return "<br>".join(_link(prefix, name) for name in names) or "nothing"


def _topics(document: Json, uses: Sequence[Use]) -> Iterator[str]:
    yield "<h2>Topics</h2>"
    for name, channel in _part(document, "channels").items():
        it = _part({name: channel}, name)
        kafka = _part(_part(it, "bindings"), "kafka")
        settings = _part(kafka, "topicConfiguration")
        facts = [f"{kafka['partitions']} partitions", *_kept(settings)]
        flow = _flow(name, [each for each in uses if each.channel == name])
        yield (
            f'<section id="topic-{escape(name)}" data-find><h3>{escape(str(it["address"]))}</h3>'
            f"<p>{escape(', '.join(facts))}</p>{flow}<p>{_links('event', _part(it, 'messages'))}</p></section>"
        )


def _flow(topic: str, uses: Sequence[Use]) -> str:
    """Who publishes to a topic, and who handles what is there, left and right of it."""
    columns = []
    for action in ("send", "receive"):
        names = sorted({each.name.rpartition(f".{action}.")[0] for each in uses if each.action == action})
        columns.append("".join(f"<span>{escape(each)}</span>" for each in names) or "<i>nobody here</i>")
    return f'<div class="flow"><div>{columns[0]}</div><b>{escape(topic)}</b><div>{columns[1]}</div></div>'


def _events(document: Json, uses: Sequence[Use]) -> Iterator[str]:
    yield "<h2>Events</h2>"
    components = _part(document, "components")
    schemas = _part(components, "schemas")
    for name, message in _part(components, "messages").items():
        it = _part({name: message}, name)
        facts = [f"{key}: {it[word]}" for key, word in _FACTS if word in it]
        key = _part(_part(_part(it, "bindings"), "kafka"), "key").get("description")
        facts += [f"key: {key}"] if key else []
        mine = [each for each in uses if name in each.messages]
        rows = [
            (escape("publishes" if each.action == "send" else "handles"), escape(each.name), escape(each.about))
            for each in mine
        ]
        yield (
            f'<section id="event-{escape(name)}" data-find><h3>{escape(name)}</h3>'
            f"<p>{escape(str(it.get('description', '')))}</p><p>{escape(', '.join(facts))}</p>"
            f"{_fields(fields_of(_named(it['payload']), schemas))}{_table(('', 'operation', ''), rows)}</section>"
        )


_FACTS = (("kind", "x-mainstem-kind"), ("version", "x-mainstem-version"), ("owner", "x-mainstem-owner"))


def _fields(found: Iterable[Field]) -> str:
    rows = [
        (
            f"<code>{escape(each.path)}</code>",
            escape(each.type),
            "required" if each.required else escape(each.otherwise),
            escape(each.about),
        )
        for each in found
    ]
    return _table(("field", "type", "", ""), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{each}</th>" for each in head) + f"</tr>{body}</table>"


def _kept(settings: Json) -> Iterator[str]:
    if "compact" in _listed(settings["cleanup.policy"]):
        yield "the last event of each key is kept"
    milliseconds = settings["retention.ms"]
    assert isinstance(milliseconds, int), "the document is our own"
    yield "kept for ever" if milliseconds < 0 else f"kept for {length_of(milliseconds)}"
    if "retention.bytes" in settings:
        yield f"at most {settings['retention.bytes']} bytes in a partition"
