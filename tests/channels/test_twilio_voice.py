"""Phone as TwiML has it: its documents are compared with the SDK's builder, and whole calls walked, in
`tests/integration/test_phone.py`. Here what an exchange may answer to an order."""

from channels.providers.twilio_voice import TwilioVoice


def test_a_success_without_a_name_is_uncertain() -> None:
    assert TwilioVoice().outcome(201, b'{"sid": "CA2"}').externals == ("CA2",)
    assert TwilioVoice().outcome(201, b"{}").kind == "uncertain"
    assert TwilioVoice().outcome(404, b'{"code": 20404, "message": "not found"}').kind == "rejected"
