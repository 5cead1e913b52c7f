"""The customers' edge: turns what providers say into inputs, and effects into what providers understand.

CHANNELS is the registry, a list one can read. A provider is one file in `providers/` and one line here.
"""

from channels.base import Provider
from channels.providers.alibaba_mail import AlibabaMail
from channels.providers.cafe24 import Cafe24
from channels.providers.coupang import Coupang
from channels.providers.ebay import Ebay
from channels.providers.email import Email
from channels.providers.grip import Grip
from channels.providers.naver_smartstore import NaverSmartStore
from channels.providers.shopify import Shopify
from channels.providers.tiktok_shop import TikTokShop
from channels.providers.twilio_sms import TwilioSms
from channels.providers.twilio_voice import TwilioVoice
from channels.providers.webchat import WebChat
from channels.providers.webhook import SignedWebhook
from channels.providers.woocommerce import WooCommerce

CHANNELS: tuple[Provider, ...] = (
    Email(),
    SignedWebhook(),
    TwilioSms(),
    TwilioVoice(),
    WebChat(),
    # malls
    AlibabaMail(),
    Cafe24(),
    Coupang(),
    Ebay(),
    Grip(),
    NaverSmartStore(),
    Shopify(),
    TikTokShop(),
    WooCommerce(),
)


def registry(providers: tuple[Provider, ...] = CHANNELS) -> dict[str, Provider]:
    """Providers by name. Two of one name is a mistake at start-up."""
    found = {provider.name: provider for provider in providers}
    if len(found) != len(providers):
        raise ValueError("two providers have the same name")
    return found
