"""What a WhatsApp message holds (developers.facebook.com, messages webhook reference): each kind under its own name."""

from typing import Any

from channels import loose
from router.model import Elsewhere, Part, Text

MEDIA = ("image", "video", "audio", "document", "sticker")


def parts(message: Any) -> tuple[Part, ...]:
    """A file with its caption, or words."""
    kind = loose.text(message, "type", most=40)
    held = loose.fields(message, kind)
    if kind in MEDIA and loose.text(held, "id"):
        caption = loose.text(held, "caption")
        name = loose.text(held, "filename", most=loose.MAX_NAME) or kind
        type_ = loose.text(held, "mime_type", most=100).partition(";")[0].strip() or "application/octet-stream"
        file = Elsewhere(ref=loose.key(held, "id"), name=name, media_type=type_)
        return (Text(text=caption), file) if caption else (file,)
    return (Text(text=words(message, kind, held) or f"[{kind or 'message'}]"),)


def words(message: Any, kind: str, held: dict[str, Any]) -> str:
    """The words of a text or of what was tapped; of the rest what can be said of it."""
    if kind == "interactive":
        return loose.text(held, loose.text(held, "type"), "title")
    if kind == "location":
        where = loose.place(held, "latitude", "longitude")
        told = " ".join(filter(None, (loose.text(held, "name", most=300), loose.text(held, "address", most=500))))
        return f"[location] {where} {told}".rstrip()
    if kind == "contacts":
        one = loose.at(message, "contacts", 0)
        return (
            f"[contact] {loose.text(one, 'name', 'formatted_name', most=200)} {loose.text(one, 'phones', 0, 'phone')}"
        )
    if kind == "order":
        asked = (loose.text(one, "product_retailer_id", most=100) for one in loose.many(held, "product_items")[:50])
        return f"[order] {', '.join(asked)} {loose.text(held, 'text')}".rstrip()
    return loose.text(held, "body") or loose.text(held, "text")
