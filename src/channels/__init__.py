"""The customers' edge: turns what providers say into inputs, and effects into what providers understand.

CHANNELS is the registry, a list one can read. A provider is one file in `providers/` and one line here.
"""

from channels.base import Provider
from channels.providers.email import Email
from channels.providers.facebook_comments import FacebookComments
from channels.providers.flickr_comments import FlickrComments
from channels.providers.instagram_comments import InstagramComments
from channels.providers.linkedin_comments import LinkedInComments
from channels.providers.twilio_sms import TwilioSms
from channels.providers.twilio_voice import TwilioVoice
from channels.providers.webchat import WebChat
from channels.providers.webhook import SignedWebhook
from channels.providers.x_mentions import XMentions
from channels.providers.youtube_comments import YouTubeComments

CHANNELS: tuple[Provider, ...] = (
    Email(),
    FacebookComments(),
    FlickrComments(),
    InstagramComments(),
    LinkedInComments(),
    SignedWebhook(),
    TwilioSms(),
    TwilioVoice(),
    WebChat(),
    XMentions(),
    YouTubeComments(),
)


def registry(providers: tuple[Provider, ...] = CHANNELS) -> dict[str, Provider]:
    """Providers by name. Two of one name is a mistake at start-up."""
    found = {provider.name: provider for provider in providers}
    if len(found) != len(providers):
        raise ValueError("two providers have the same name")
    return found
