"""The customers' edge: turns what providers say into inputs, and effects into what providers understand.

CHANNELS is the registry, a list one can read. A provider is one file in `providers/` and one line here.
"""

from channels.base import Provider
from channels.providers.alibaba_mail import AlibabaMail
from channels.providers.asterisk import Asterisk
from channels.providers.cafe24 import Cafe24
from channels.providers.chzzk import Chzzk
from channels.providers.coupang import Coupang
from channels.providers.ebay import Ebay
from channels.providers.email import Email
from channels.providers.facebook_comments import FacebookComments
from channels.providers.flickr_comments import FlickrComments
from channels.providers.grip import Grip
from channels.providers.instagram import Instagram
from channels.providers.instagram_comments import InstagramComments
from channels.providers.kakao_consult import KakaoConsult
from channels.providers.line import Line
from channels.providers.linkedin_comments import LinkedInComments
from channels.providers.mailgun_mail import MailgunMail
from channels.providers.messenger import Messenger
from channels.providers.naver_smartstore import NaverSmartStore
from channels.providers.naver_talktalk import NaverTalkTalk
from channels.providers.nhn_sms import NhnSms
from channels.providers.plivo_sms import PlivoSms
from channels.providers.sendgrid_mail import SendgridMail
from channels.providers.sens_sms import SensSms
from channels.providers.shopify import Shopify
from channels.providers.sinch_sms import SinchSms
from channels.providers.slack import Slack
from channels.providers.smpp import Smpp
from channels.providers.solapi import Solapi
from channels.providers.telegram import Telegram
from channels.providers.telnyx_sms import TelnyxSms
from channels.providers.tiktok_shop import TikTokShop
from channels.providers.twilio_sms import TwilioSms
from channels.providers.twilio_voice import TwilioVoice
from channels.providers.twitch import Twitch
from channels.providers.vonage_sms import VonageSms
from channels.providers.webchat import WebChat
from channels.providers.webhook import SignedWebhook
from channels.providers.whatsapp import WhatsApp
from channels.providers.woocommerce import WooCommerce
from channels.providers.x_mentions import XMentions
from channels.providers.x_messages import XMessages
from channels.providers.youtube_comments import YouTubeComments
from channels.providers.youtube_live import YouTubeLive

CHANNELS: tuple[Provider, ...] = (
    AlibabaMail(),
    Asterisk(),
    Cafe24(),
    Chzzk(),
    Coupang(),
    Ebay(),
    Email(),
    FacebookComments(),
    FlickrComments(),
    Grip(),
    Instagram(),
    InstagramComments(),
    KakaoConsult(),
    Line(),
    LinkedInComments(),
    MailgunMail(),
    Messenger(),
    NaverSmartStore(),
    NaverTalkTalk(),
    NhnSms(),
    PlivoSms(),
    SendgridMail(),
    SensSms(),
    Shopify(),
    SignedWebhook(),
    SinchSms(),
    Slack(),
    Smpp(),
    Solapi(),
    Telegram(),
    TelnyxSms(),
    TikTokShop(),
    TwilioSms(),
    TwilioVoice(),
    Twitch(),
    VonageSms(),
    WebChat(),
    WhatsApp(),
    WooCommerce(),
    XMentions(),
    XMessages(),
    YouTubeComments(),
    YouTubeLive(),
)


def registry(providers: tuple[Provider, ...] = CHANNELS) -> dict[str, Provider]:
    """Providers by name. Two of one name is a mistake at start-up."""
    found = {provider.name: provider for provider in providers}
    if len(found) != len(providers):
        raise ValueError("two providers have the same name")
    return found
