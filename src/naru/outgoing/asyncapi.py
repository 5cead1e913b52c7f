"""The AsyncAPI 3.0 document: events, desk, wallboard and chat, from the very structures that the code uses.

Nothing is written here that the code knows: event types and fields come from `cloudevents.PUBLIC`, desk frames from
`agents.frames`, commands from `agents.commands`. `docs/asyncapi.yaml` is the committed copy; a test compares.
"""

import functools
from collections.abc import Iterable
from typing import Any, get_args

import msgspec
import yaml

from agents import commands
from agents import frames as desk
from naru import __version__
from naru.bus.base import EVENTS
from naru.outgoing import cloudevents, frames

REF = "#/components/schemas/{name}"
CONTENT = "application/json"
DESK_OUT: tuple[type, ...] = get_args(desk.Frame)
DESK_IN: tuple[type, ...] = (frames.Hello, frames.Pong)
BOARD_OUT: tuple[type, ...] = (*frames.BOARD, desk.Ping)
Json = dict[str, Any]


@functools.cache
def document() -> Json:
    events = _events()
    structs = (*DESK_OUT, *DESK_IN, *frames.BOARD, *frames.CHAT_IN, *frames.CHAT_OUT)
    schemas = _schemas([*structs, *(data for data, _ in events.values())])
    messages = {struct.__name__: _frame(struct) for struct in structs} | _do_messages()
    published = [name for name, (_, public) in events.items() if public is not cloudevents.PING]
    for name, (_, public) in events.items():
        if name in published:
            messages[name] = _binary(name, public)
        messages[f"{name}Webhook"] = _structured(name, public)
    desk_in = [*_names(DESK_IN), *_do_messages()]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Naru",
            "version": __version__,
            "description": "What Naru tells other programs as it happens (docs/events.md), and what desks, wallboards "
            "and widgets speak (docs/protocol.md). Times are seconds since the epoch where they are numbers.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT,
        "servers": {
            "center": {"host": "localhost:8620", "protocol": "ws", "description": "The center itself."},
            "kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "The brokers of the topic."},
            "receiver": {"host": "receiver.example", "protocol": "https", "description": "A webhook's receiver."},
        },
        "channels": {
            "topic": _channel(EVENTS, "kafka", published, "CloudEvents in binary mode, keyed by contact."),
            "webhook": _channel(None, "receiver", _webhook_names(events), "CloudEvents, signed (Standard Webhooks)."),
            "desk": _channel("/v1/agents/ws", "center", [*_names(DESK_OUT), *desk_in], "An agent's desk."),
            "board": _channel("/v1/live/ws", "center", _names((*BOARD_OUT, *DESK_IN)), "The wallboard."),
            "chat": _channel("/chat/ws", "center", _names((*frames.CHAT_IN, *frames.CHAT_OUT)), "A customer's chat."),
        },
        "operations": {
            "publishEvents": _operation("send", "topic", published),
            "deliverEvents": _operation("send", "webhook", _webhook_names(events)),
            "tellDesk": _operation("send", "desk", _names(DESK_OUT)),
            "hearDesk": _operation("receive", "desk", desk_in),
            "tellBoard": _operation("send", "board", _names(BOARD_OUT)),
            "hearBoard": _operation("receive", "board", _names(DESK_IN)),
            "tellCustomer": _operation("send", "chat", _names(frames.CHAT_OUT)),
            "hearCustomer": _operation("receive", "chat", _names(frames.CHAT_IN)),
        },
        "components": {"schemas": schemas | _envelopes(), "messages": messages},
    }


def as_yaml() -> str:
    plain = msgspec.json.decode(msgspec.json.encode(document()))  # no part twice, so no anchors
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


# -- events


def _events() -> dict[str, tuple[type, cloudevents.Public]]:
    """Every public event, by the name of its data."""
    table: list[tuple[type, cloudevents.Public]] = [
        (cloudevents.data_type(kind), public) for kind, public in cloudevents.PUBLIC.items()
    ]
    table.append((cloudevents.Pinged, cloudevents.PING))
    return {data.__name__: (data, public) for data, public in table}


def _webhook_names(events: Iterable[str]) -> list[str]:
    return [f"{name}Webhook" for name in events]


def _binary(name: str, public: cloudevents.Public) -> Json:
    own = {"ce_type": _const(public.type), "ce_dataschema": _const(public.schema)}
    headers = {"allOf": [_ref("CloudEventHeaders"), {"type": "object", "properties": own}]}
    return {"name": public.type, "contentType": CONTENT, "headers": headers, "payload": _ref(name)}


def _structured(name: str, public: cloudevents.Public) -> Json:
    own = {"type": _const(public.type), "dataschema": _const(public.schema), "data": _ref(name)}
    payload = {"allOf": [_ref("CloudEvent"), {"type": "object", "properties": own}]}
    headers = _ref("WebhookHeaders")
    return {"name": public.type, "contentType": cloudevents.CONTENT_TYPE, "headers": headers, "payload": payload}


def _envelopes() -> Json:
    """What is around the data: in structured mode, in binary mode's headers, and in those of a signed webhook."""
    event = _cloud_event()
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    binary = {f"ce_{name}": of for name, of in event["properties"].items() if name not in ("data", "datacontenttype")}
    binary["content-type"] = event["properties"]["datacontenttype"]
    required = [name for name in binary if name.removeprefix("ce_") in event["required"]] + ["content-type"]
    return {
        "CloudEvent": event,
        "CloudEventHeaders": {"type": "object", "properties": binary, "required": required},
        "WebhookHeaders": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "required": list(names),
        },
    }


def _cloud_event() -> Json:
    """The attributes, as the structure has them, with what only CloudEvents knows of them."""
    _, found = msgspec.json.schema_components([cloudevents.CloudEvent])
    schema = found["CloudEvent"]
    extra: Json = {
        "specversion": {"const": "1.0"},
        "source": {"format": "uri-reference"},
        "time": {"format": "date-time"},
        "dataschema": {"format": "uri"},
        "sequence": {"type": "string", "pattern": f"^[0-9]{{{cloudevents.SEQUENCE_DIGITS}}}$"},
    }
    properties = {name: {"type": "string"} | extra.get(name, {}) for name in schema["properties"]}
    return {**schema, "properties": properties | {"data": {"type": "object"}}}


# -- frames


def _schemas(structs: Iterable[type]) -> Json:
    _, found = msgspec.json.schema_components(list(structs), ref_template=REF)
    return {name: found[name] for name in sorted(found)}


def _frame(struct: type) -> Json:
    tag = struct.__struct_config__.tag  # type: ignore[attr-defined]
    return {"name": tag, "contentType": CONTENT, "payload": _ref(struct.__name__)}


def _do_messages() -> Json:
    """A desk's commands, a message each: `{"type": "do", "id", "do": <command>, "args"}`."""
    made = {}
    table: dict[str, tuple[str | None, type[commands.Args]]] = {commands.STATUS: (None, commands.Status)}
    table |= {name: (command.of, command.args) for name, command in commands.COMMANDS.items()}
    for name, (of, args) in table.items():
        title = "Do" + "".join(word.capitalize() for word in name.split("-"))
        made[title] = {"name": f"do {name}", "contentType": CONTENT, "payload": _do(name, of, args)}
    return made


def _do(name: str, of: str | None, args: type[commands.Args]) -> Json:
    schema = args.model_json_schema()
    properties = ({of: {"type": "string"}} if of else {}) | schema.get("properties", {})
    required = [*([of] if of else []), *schema.get("required", [])]
    inner = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    outer = {"type": _const("do"), "id": {"type": "string", "maxLength": 100}, "do": _const(name), "args": inner}
    return {"type": "object", "properties": outer, "required": ["type", "id", "do", "args"]}


# -- the document's own forms


def _names(structs: Iterable[type]) -> list[str]:
    return [struct.__name__ for struct in structs]


def _const(value: str) -> Json:
    return {"type": "string", "const": value}


def _ref(name: str) -> Json:
    return {"$ref": REF.format(name=name)}


def _channel(address: str | None, server: str, messages: Iterable[str], description: str) -> Json:
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, channel: str, messages: Iterable[str]) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
