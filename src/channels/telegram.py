"""What a Telegram message holds (core.telegram.org/bots/api#message)."""

from typing import Any

from channels import loose
from router.model import Elsewhere, Part, Text

FILES = {
    "photo": "image/jpeg",
    "video": "video/mp4",
    "animation": "video/mp4",
    "video_note": "video/mp4",
    "voice": "audio/ogg",
    "audio": "audio/mpeg",
    "document": "application/octet-stream",
    "sticker": "image/webp",
}


def parts(message: dict[str, Any]) -> tuple[Part, ...]:
    """Words or a caption, and the file. A photo comes in several sizes, the largest last; an animation also as document."""
    words = loose.text(message, "text") or loose.text(message, "caption")
    found: list[Part] = [Text(text=words)] if words else []
    for kind, usual in FILES.items():
        held = loose.at(message, "photo", -1) if kind == "photo" else loose.fields(message, kind)
        ref = f"{loose.text(held, 'file_id', most=300)} {loose.text(held, 'file_unique_id', most=90)}"
        if ref.strip() and not (kind == "document" and loose.fields(message, "animation")):
            name = loose.text(held, "file_name", most=loose.MAX_NAME) or loose.text(held, "emoji", most=10) or kind
            media_type = loose.text(held, "mime_type", most=100) or usual
            found.append(Elsewhere(ref=ref, name=name, media_type=media_type))
    where, contact = loose.place(message.get("location"), "latitude", "longitude"), loose.fields(message, "contact")
    if where:
        found.append(Text(text=f"[location] {where}"))
    if contact:
        told = (loose.text(contact, "first_name", most=100), loose.text(contact, "phone_number", most=40))
        found.append(Text(text=f"[contact] {' '.join(told)}"))
    return tuple(found)
