"""The menu that a caller hears before the queue: what is said, and where each key leads. Pure, and the same for every
exchange: how it is said is the provider's.

A menu decides nothing. It ends in attributes of the call, and perhaps a language, by which the rules of the configuration
route. Who presses no key, or one that leads nowhere, hears it again, a bounded number of times, and is then queued with
what was chosen so far: nobody is lost in a menu. Where a caller stands fits into a URL (`Place`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from router.model import Slug

MAX_DEPTH, MAX_MENUS = 5, 50
MAX_TRIES = 5
KEYS = frozenset("0123456789*#")
"""Of a telephone."""

Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]
Words = Annotated[str, Meta(min_length=1, max_length=1000)]
Sound = Annotated[str, Meta(min_length=1, max_length=300)]
Value = Annotated[str, Meta(min_length=1, max_length=200)]


class Menu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`say` (words) or `play` (a sound), in one language or several; how long a key is waited for once all is said; how
    often it is said at most."""

    say: Annotated[dict[Language, Words], Meta(max_length=8)] = {}
    play: Annotated[dict[Language, Sound], Meta(max_length=8)] | Sound = {}
    keys: dict[str, "Choice"] = {}
    timeout_s: Annotated[int, Meta(ge=1, le=60)] = 5
    tries: Annotated[int, Meta(ge=1, le=MAX_TRIES)] = 3


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a key leads: what it says of the call, and the menu that comes next. With neither it leads to the queue."""

    attributes: Annotated[dict[Slug, Value], Meta(max_length=20)] = {}
    language: Language | None = None
    menu: Menu | None = None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller has chosen so far, or in the end."""

    attributes: dict[str, str] = {}
    language: str | None = None


class Place(msgspec.Struct, frozen=True):
    """The menu that the keys lead to, said for the so-many-th time."""

    keys: str = ""
    tries: int = 1


START = Place()


# -- the walk


def after(root: Menu, place: Place, key: str) -> Place | Chosen:
    """The next menu, the same one again, or the end. `key` is "" when none was pressed."""
    menu, chosen = at(root, place)
    choice = menu.keys.get(key)
    if choice is None:
        return Place(place.keys, place.tries + 1) if place.tries < menu.tries else chosen
    return Place(place.keys + key) if choice.menu is not None else _with(chosen, choice)


def at(root: Menu, place: Place) -> tuple[Menu, Chosen]:
    """The menu at a place and what was chosen on the way; the first one, should the keys lead there no more."""
    menu, chosen = root, Chosen()
    for key in place.keys:
        choice = menu.keys.get(key)
        if choice is None or choice.menu is None:
            return root, Chosen()
        menu, chosen = choice.menu, _with(chosen, choice)
    return menu, chosen


def _with(chosen: Chosen, choice: Choice) -> Chosen:
    return Chosen(attributes={**chosen.attributes, **choice.attributes}, language=choice.language or chosen.language)


def place_of(keys: str, tries: str) -> Place:
    """A place as it stood in a URL. Total."""
    number = int(tries) if tries.isascii() and tries.isdigit() and len(tries) < 3 else 1
    return Place(keys[:MAX_DEPTH], max(1, min(number, MAX_TRIES)))


def heard(menu: Menu, chosen: Chosen, own: str) -> tuple[tuple[str, str], ...]:
    """What is said or played, as (language, words or sound). In the caller's language once that is known; where it is
    being chosen, in every language in turn; else in the channel's `own`, or the first there is."""
    said = menu.say or ({own: menu.play} if isinstance(menu.play, str) else menu.play)
    if chosen.language in said:
        return ((chosen.language, said[chosen.language]),)
    if chosen.language is None and any(choice.language for choice in menu.keys.values()):
        return tuple(said.items())
    return ((own, said[own]),) if own in said else tuple(said.items())[:1]


# -- the settings


def menu_of(settings: Mapping[str, Any]) -> Menu | None:
    """The menu of a channel's settings; None where it has none, or one that is faulty (`menu_fault` says how)."""
    try:
        return _read(settings)
    except ValueError:
        return None


def menu_fault(settings: Mapping[str, Any], cannot: Callable[[Menu], str | None]) -> str | None:
    """What is wrong with the menu and where; `cannot` says why a provider cannot say one of its menus."""
    try:
        root = _read(settings)
    except ValueError as error:
        return str(error)[:300]
    for where, menu in _all(root, "settings.menu") if root else ():
        why = cannot(menu)
        if why is not None:
            return f"{where}: {why}"[:300]
    return None


def _read(settings: Mapping[str, Any]) -> Menu | None:
    """Raises ValueError, saying which part is wrong."""
    if settings.get("menu") is None:
        return None
    root = _menu(settings["menu"], "settings.menu", 1)
    if sum(1 for _ in _all(root, "")) > MAX_MENUS:
        raise ValueError(f"settings.menu: there are more than {MAX_MENUS} menus in it")
    return root


def _all(menu: Menu, where: str) -> Iterator[tuple[str, Menu]]:
    yield where, menu
    for key, choice in menu.keys.items():
        if choice.menu is not None:
            yield from _all(choice.menu, f"{where}.keys.{key}.menu")


def _menu(value: Any, where: str, depth: int) -> Menu:
    if depth > MAX_DEPTH:
        raise ValueError(f"{where}: menus are nested deeper than {MAX_DEPTH}")
    if not isinstance(value, dict):
        raise ValueError(f"{where}: it takes `say` or `play`, and `keys`")
    parts = {name: part for name, part in value.items() if name != "keys"}
    menu, keys = _as(parts, Menu, where), value.get("keys")
    if bool(menu.say) == bool(menu.play):
        raise ValueError(f"{where}: it takes one of `say` and `play`")
    if not isinstance(keys, dict) or not keys:
        raise ValueError(f"{where}.keys: no key leads anywhere")
    return msgspec.structs.replace(menu, keys=dict(_choice(key, keys[key], where, depth) for key in keys))


def _choice(key: Any, value: Any, where: str, depth: int) -> tuple[str, Choice]:
    """A key of digits alone is a number in YAML where nobody has put it in quotes."""
    name = str(key)[:40]
    if name not in KEYS:
        raise ValueError(f"{where}.keys: '{name}' is no key of a telephone; they are 0 to 9, * and #")
    here = f"{where}.keys.{name}"
    if not isinstance(value, dict):
        raise ValueError(f"{here}: it takes `attributes`, `language` or `menu`")
    choice = _as({part: value[part] for part in value if part != "menu"}, Choice, here)
    if value.get("menu") is None:
        return name, choice
    return name, msgspec.structs.replace(choice, menu=_menu(value["menu"], f"{here}.menu", depth + 1))


T = TypeVar("T")


def _as(value: dict[Any, Any], type_: type[T], where: str) -> T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}") from error
