"""What simulated people say. A line each for the opening, the middle and the end of a conversation, by language."""

Lines = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]

CUSTOMERS: dict[str, Lines] = {
    "ko": (
        (
            "주문한 원피스가 아직 안 왔어요. 언제 도착하나요?",
            "사이즈가 안 맞아서 교환하고 싶어요.",
            "반품 신청은 어떻게 하나요?",
            "재입고 예정이 있는지 궁금합니다.",
        ),
        ("주문번호는 20260412-1187 입니다.", "네, 색상은 남색이에요.", "오늘 안에 처리될까요?"),
        ("감사합니다!", "네 알겠습니다. 수고하세요."),
    ),
    "en": (
        ("Hi, where is my order? It was due yesterday.", "I would like a refund for a damaged mug, please."),
        ("The order number is 20260412-1190.", "It arrived with a crack on the handle."),
        ("Great, thank you!", "Perfect, thanks for the quick help."),
    ),
    "ja": (
        ("日本への送料はいくらですか？", "注文のキャンセルをお願いします。"),
        ("注文番号は20260412-1201です。", "はい、お願いします。"),
        ("ありがとうございます。",),
    ),
}
AGENTS: dict[str, Lines] = {
    "ko": (
        ("안녕하세요, 바다상점입니다. 확인해 드리겠습니다.", "문의 감사합니다. 주문번호를 알려 주시겠어요?"),
        ("확인했습니다. 내일 오전에 도착할 예정입니다.", "바로 접수해 드렸습니다."),
        ("다른 도움이 필요하시면 언제든 말씀해 주세요.",),
    ),
    "en": (
        ("Hello, this is Bada Shop. Let me look that up.", "Thanks for writing! May I have your order number?"),
        ("I found it: it will arrive tomorrow morning.", "I have started the refund for you."),
        ("Is there anything else I can do for you?",),
    ),
    "ja": (
        ("お問い合わせありがとうございます。確認いたします。",),
        ("確認できました。明日お届けの予定です。",),
        ("他にご不明な点はございますか。",),
    ),
}
SUBJECTS = {
    "ko": ("교환 문의드립니다", "배송이 늦어요", "세금계산서 요청"),
    "en": ("Where is my parcel?", "Damaged item"),
}
COMMENTS = ("이 색상 재고 있나요?", "사이즈 M 있어요?", "쿠폰 적용되나요?", "배송 언제 와요?", "I want two of these!")
NAMES = (
    "김서연",
    "이도윤",
    "박지우",
    "최하준",
    "정수아",
    "Emma",
    "Liam",
    "佐藤",
    "윤채원",
    "장우진",
    "한지민",
    "Olivia",
)
