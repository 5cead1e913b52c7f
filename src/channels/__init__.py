"""The customers' edge: turns what providers say into inputs, and effects into what providers understand.

CHANNELS is the registry, a list one can read. A provider is one file in `providers/` and one line here.
"""

from channels.base import Provider
from channels.providers.chzzk import Chzzk
from channels.providers.email import Email
from channels.providers.twilio_sms import TwilioSms
from channels.providers.twilio_voice import TwilioVoice
from channels.providers.twitch import Twitch
from channels.providers.webchat import WebChat
from channels.providers.webhook import SignedWebhook
from channels.providers.youtube_live import YouTubeLive

CHANNELS: tuple[Provider, ...] = (
    Email(),
    SignedWebhook(),
    TwilioSms(),
    TwilioVoice(),
    WebChat(),
    YouTubeLive(),
    Twitch(),
    Chzzk(),
)


def registry(providers: tuple[Provider, ...] = CHANNELS) -> dict[str, Provider]:
    """Providers by name. Two of one name is a mistake at start-up."""
    found = {provider.name: provider for provider in providers}
    if len(found) != len(providers):
        raise ValueError("two providers have the same name")
    return found
