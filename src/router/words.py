"""What explanations say, in English and Korean: one table from code to templates, and `Words`, which fills them in.

Every code of `router.reasons` and `router.explain` stands here in both languages with the same parameters. In Korean
no particle follows a parameter that may end in a vowel or a consonant. Times are the workspace's local time.
"""

import datetime as dt
from typing import TYPE_CHECKING, Literal

from router.reasons import Param, Reason

if TYPE_CHECKING:
    from router.state import Pool

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")

TEMPLATES: dict[str, tuple[str, str]] = {
    # What an agent has not.
    "not_configured": ("is not in the configuration", "설정에 없음"),
    "other_brand": ("does not work for {brand}", "{brand} 브랜드를 맡지 않음"),
    "no_inbound": ("takes no inbound work", "인바운드 업무를 하지 않음"),
    "no_outbound": ("takes no outbound work", "아웃바운드 업무를 하지 않음"),
    "lacks_language": ("does not speak {skill}", "{skill} 언어를 맡지 않음"),
    "lacks_skill": ("lacks {skill}", "{skill} 기술이 없음"),
    "level_too_low": ("{skill} {have} < {need}", "{skill} {have} < {need}"),
    "outside_step": (
        "outside until step {step} at {at}: {skill} {need} is asked for",
        "{step}단계({at})부터 대상: 지금은 {skill} {need} 필요",
    ),
    # Whether there is room.
    "presence": ("{presence}", "{presence}"),
    "presence_for": ("{presence} ({reason})", "{presence} ({reason})"),
    "not_connected": ("not connected", "연결되어 있지 않음"),
    "cooling": ("cooling down until {until}", "{until}까지 배정 쉼"),
    "kept_for_campaign": ("kept for campaign {campaign}", "캠페인 {campaign} 대기"),
    "no_phone": ("has no phone", "전화번호가 없음"),
    "open_offer": ("has an open offer", "다른 배정 요청에 응답하는 중"),
    "kind_full": ("{kind} {held} of {most}", "{kind} {most}건 중 {held}건"),
    "contacts_full": ("{held} of {most} contacts", "상담 {most}건 중 {held}건"),
    "units_full": ("{used} of {units} units, {kind} takes {cost}", "{units} 중 {used} 사용, {kind}: {cost} 필요"),
    # What the contact, or other work, has against it.
    "excluded": ("excluded until {until}", "{until}까지 제외"),
    "not_preferred": ("it waits for {agents}", "이 상담은 {agents} 님을 기다림"),
    "not_preferred_until": ("it waits for {agents} until {until}", "이 상담은 {until}까지 {agents} 님을 기다림"),
    "reserve": ("kept for {queue}: {idle} idle, {kept} kept", "{queue} 대기조: 유휴 {idle}명, 유지 {kept}명"),
    "inbound_first": ("inbound work waits in {queue}", "{queue} 큐에 인바운드 업무가 기다림"),
    "ended": ("it had ended: {outcome}", "상담이 이미 끝남: {outcome}"),
    "nothing": ("nothing is in the way", "걸리는 것이 없음"),
    # By what an eligible agent lost.
    "preferred_later": ("comes after {than} among the preferred", "선호 순서가 {than} 님 다음"),
    "other_queue": ("only through {queue}, asked after {first}", "{first} 다음 순서인 {queue} 큐로만 가능"),
    "would_interrupt": ("would have to interrupt other work", "하던 업무를 중단해야 함"),
    "lower_score": ("sum of levels {score} < {best}", "기술 수준 합 {score} < {best}"),
    "busier": ("load {load}/8 against {best}/8", "업무량 {load}/8, 선택된 상담원 {best}/8"),
    "less_busy": ("load {load}/8 against {best}/8, the busiest first", "업무량 {load}/8, 바쁜 순서로 {best}/8 먼저"),
    "idle_less": ("last became free after {than}", "{than} 님보다 늦게 유휴가 됨"),
    "chose_after": (
        "became free in the same moment; {than}, idle longer, chose first",
        "같은 순간 유휴가 되었으나 더 오래 기다린 {than} 님이 먼저 선택",
    ),
    "begun": ("nobody was asked: {agent} began it", "배정 없음: {agent} 님이 직접 시작"),
    "taken": ("nobody was asked: {agent} took it over", "배정 없음: {agent} 님이 넘겨받음"),
    "kept": ("nobody was asked: {agent} was kept for the campaign", "배정 없음: {agent} 님이 캠페인 대기 중이었음"),
    # By what a contact that the agent could take came later.
    "later_tier": ("tier {tier} after {best}", "{tier}등급, {best}등급 다음"),
    "served_later": ("{agent} serves {first} first", "{agent} 님은 {first} 큐를 먼저 처리"),
    "later_key": ("due {due}, after {best}", "기한 {due}, {best} 다음"),
    "later_moment": ("due {ms} ms later", "기한이 {ms}ms 늦음"),
    "later_arrival": ("due at the same time, came in later", "기한이 같고 늦게 들어옴"),
    # The choice.
    "chosen_only": ("chosen: {agent}, the only one who could take it", "선택: {agent}, 받을 수 있는 유일한 상담원"),
    "chosen_longest_idle": (
        "chosen: {agent}, idle longest of the {of} who could take it",
        "선택: {agent}, 받을 수 있는 {of}명 중 가장 오래 유휴",
    ),
    "chosen_best_skill": (
        "chosen: {agent}, best of the {of} who could take it (sum of levels {score}, then idle longest)",
        "선택: {agent}, 받을 수 있는 {of}명 중 기술 수준 합 {score} 최고(같으면 가장 오래 유휴)",
    ),
    "chosen_least_loaded": (
        "chosen: {agent}, least loaded of the {of} who could take it ({load}/8, then idle longest)",
        "선택: {agent}, 받을 수 있는 {of}명 중 업무량 최소 {load}/8(같으면 가장 오래 유휴)",
    ),
    "chosen_most_loaded": (
        "chosen: {agent}, most loaded of the {of} who could take it ({load}/8, then idle longest)",
        "선택: {agent}, 받을 수 있는 {of}명 중 업무량 최대 {load}/8(같으면 가장 오래 유휴)",
    ),
    "chosen_preferred": ("chosen: {agent}, for whom it waited", "선택: {agent}, 이 상담이 기다리던 상담원"),
    "chosen_freed": (
        "chosen: {agent}, who became free; of {of} waiting it was the first that {agent} could take",
        "선택: {agent}, 유휴가 됨; 대기 {of}건 중 {agent} 님이 받을 수 있는 첫 번째",
    ),
    "chosen_begun": ("{agent} began it", "{agent} 님이 직접 시작"),
    "chosen_taken": ("{agent} took it over", "{agent} 님이 넘겨받음"),
    "chosen_kept": (
        "chosen: {agent}, kept for the campaign and idle longest of those who were",
        "선택: {agent}, 캠페인 대기 상담원 중 가장 오래 유휴",
    ),
    "interrupts": ("for it, other work of {agent} is parked", "이를 위해 {agent} 님의 다른 업무를 보류"),
    "differs": (
        "by the rules of this version of Naru it would have been another: an older version decided it",
        "현재 나루 버전의 규칙으로는 다른 선택이었을 것: 이전 버전이 결정함",
    ),
    # The lines around it.
    "offered": (
        "{at}: contact {contact} was offered to {agent} (offer {attempt})",
        "{at}: 상담 {contact}, {agent} 님에게 배정 요청({attempt}번째)",
    ),
    "waits": (
        "{at}: contact {contact} waits in {queue}, position {position}",
        "{at}: 상담 {contact}, {queue} 큐에서 {position}번째로 대기 중",
    ),
    "never_offered": (
        "{at}: contact {contact} ended without ever being offered: {outcome}",
        "{at}: 상담 {contact}, 한 번도 배정되지 않고 끝남: {outcome}",
    ),
    "about": (
        "{kind} for {brand} in {queue}, tier {tier} ({source}), configuration version {version}",
        "{brand} {kind}, {queue} 큐, {tier}등급({source}), 설정 버전 {version}",
    ),
    "times": ("came in {came}, to be answered by {due}", "접수 {came}, 응답 기한 {due}"),
    "head_start": (
        "with a head start of {seconds} s, so its place is that of {key}",
        "{seconds}초 먼저 시작하여 순서는 {key} 기준",
    ),
    "asks": ("asks in {queue}: {needs}", "{queue} 큐의 요건: {needs}"),
    "asks_too": ("or, since step {step}, in {queue}: {needs}", "또는 {step}단계부터 {queue} 큐의 요건: {needs}"),
    "need": ("{skill} {level} ({source})", "{skill} {level}({source})"),
    "wall": ("{skill} ({source})", "{skill}({source})"),
    "in_step": ("in step {step} of {steps}", "{steps}단계 중 {step}단계"),
    "first_step": ("before step 1 of {steps}, which begins at {at}", "{steps}단계 중 1단계 전, 1단계는 {at}"),
    "next_step": (
        "in step {step} of {steps}, the next one begins at {at}",
        "{steps}단계 중 {step}단계, 다음 단계는 {at}",
    ),
    "passed": ("not {agents}: {why}", "미선정 {agents}: {why}"),
    "passed_some": ("not {agents} and {more} more: {why}", "미선정 {agents} 외 {more}명: {why}"),
    "not_listed": ("and {count} more: {why}", "그 밖에 {count}명: {why}"),
    "before": (
        "came before it, but not for {agent}: {contacts} in {queue}: {why}",
        "순서는 앞이지만 {agent} 님은 불가: {queue} 큐의 {contacts}: {why}",
    ),
    "before_some": (
        "came before it, but not for {agent}: {contacts} and {more} more in {queue}: {why}",
        "순서는 앞이지만 {agent} 님은 불가: {queue} 큐의 {contacts} 외 {more}건: {why}",
    ),
    "contacts_not_listed": ("and {count} more contacts: {why}", "그 밖에 상담 {count}건: {why}"),
    "beat": ("came after it: {contacts} in {queue}: {why}", "순서가 뒤: {queue} 큐의 {contacts}: {why}"),
    "idle": (
        "{at}: {agent} is {presence} since {since}, {used} of {units} units in use",
        "{at}: {agent}, {since}부터 {presence}, {units} 중 {used} 사용",
    ),
    "never_there": ("{at}: {agent} has not signed in yet", "{at}: {agent}, 아직 로그인한 적 없음"),
    "kind_open": ("{kind}: open", "{kind}: 가능"),
    "kind_closed": ("{kind}: {why}", "{kind}: {why}"),
    "nobody_waits": ("nobody waits", "기다리는 상담이 없음"),
    "somebody_waits": ("{count} contacts wait", "대기 상담 {count}건"),
    "not_given": ("not {contacts} in {queue}: {why}", "{queue} 큐의 {contacts}: {why}"),
    "not_given_some": ("not {contacts} and {more} more in {queue}: {why}", "{queue} 큐의 {contacts} 외 {more}건: {why}"),
}  # fmt: skip

IN_SHORT: dict[str, tuple[str, str]] = {
    "not_configured": ("not in the configuration", "설정에 없음"),
    "other_brand": ("another brand", "다른 브랜드"),
    "no_inbound": ("no inbound work", "인바운드 안 함"),
    "no_outbound": ("no outbound work", "아웃바운드 안 함"),
    "lacks_language": ("language", "언어"),
    "lacks_skill": ("a skill is lacking", "기술 없음"),
    "level_too_low": ("level too low", "기술 수준 부족"),
    "outside_step": ("outside the step", "단계 밖"),
    "presence": ("not available", "자리에 없음"),
    "presence_for": ("not available", "자리에 없음"),
    "not_connected": ("not connected", "연결되어 있지 않음"),
    "cooling": ("cooling down", "배정 쉼"),
    "kept_for_campaign": ("kept for a campaign", "캠페인 대기"),
    "no_phone": ("no phone", "전화번호 없음"),
    "open_offer": ("an open offer", "배정 요청 응답 중"),
    "kind_full": ("no more of the kind", "같은 종류 상한"),
    "contacts_full": ("no more contacts", "상담 수 상한"),
    "units_full": ("no units left", "용량 부족"),
    "excluded": ("excluded", "제외됨"),
    "not_preferred": ("it waits for somebody else", "다른 상담원을 기다림"),
    "not_preferred_until": ("it waits for somebody else", "다른 상담원을 기다림"),
    "reserve": ("kept for inbound work", "인바운드 대기조"),
    "inbound_first": ("inbound work first", "인바운드 우선"),
    "ended": ("it had ended", "이미 끝남"),
    "nothing": ("nothing", "걸리는 것 없음"),
    "preferred_later": ("later among the preferred", "선호 순서가 뒤"),
    "other_queue": ("another queue", "다른 큐"),
    "would_interrupt": ("would interrupt other work", "업무 중단 필요"),
    "lower_score": ("lower levels", "기술 수준 합이 낮음"),
    "busier": ("busier", "더 바쁨"),
    "less_busy": ("less busy", "덜 바쁨"),
    "idle_less": ("free more recently", "더 늦게 유휴"),
    "chose_after": ("chose later", "나중에 선택"),
    "begun": ("nobody was asked", "배정 없음"),
    "taken": ("nobody was asked", "배정 없음"),
    "kept": ("nobody was asked", "배정 없음"),
}
"""Reasons without their parameters, for those that are only counted."""

VALUES: dict[str, dict[str, tuple[str, str]]] = {
    "presence": {
        "offline": ("offline", "오프라인"),
        "available": ("available", "업무 가능"),
        "away": ("away", "자리 비움"),
        "unresponsive": ("unresponsive", "응답 없음"),
        "draining": ("finishing up", "마무리 중"),
    },
    "kind": {
        "voice": ("voice", "전화"),
        "chat": ("chat", "채팅"),
        "sms": ("SMS", "문자"),
        "email": ("e-mail", "이메일"),
        "social": ("social", "소셜"),
        "task": ("task", "과제"),
    },
    "outcome": {
        "handled": ("handled", "처리됨"),
        "abandoned": ("the customer left", "고객이 떠남"),
        "closed": ("closed", "종료됨"),
        "failed": ("failed", "실패"),
        "overflowed": ("the queue was full", "큐가 가득 참"),
        "after_hours": ("outside opening hours", "운영 시간이 아님"),
        "spam": ("spam", "스팸"),
        "voicemail": ("the caller chose to leave a message", "고객이 음성 메시지를 선택"),
        "unreached": ("the customer could not be reached", "고객이 전화를 받지 않음"),
        "called_again": ("the customer called again first", "고객이 먼저 다시 전화함"),
        "busy": ("busy", "통화 중"),
        "no_answer": ("nobody answered", "받지 않음"),
        "machine": ("an answering machine", "자동 응답기"),
        "fax": ("a fax", "팩스"),
        "invalid": ("a number that cannot be reached", "연결할 수 없는 번호"),
        "hung_up": ("hung up before an agent was there", "상담원 연결 전 끊음"),
        "nobody_free": ("answered, and no agent was free", "받았으나 상담원 없음"),
        "cut_short": ("cut for lack of agents", "상담원 부족으로 발신 중단"),
        "uncertain": ("nobody knows how it ended", "결과를 알 수 없음"),
        "stale": ("not dialled in time", "제때 발신되지 않음"),
        "refused": ("not allowed any more when it was dialled", "발신 시점에 허용되지 않음"),
    },
    "source": {
        "wall": ("wall", "기본 조건"),
        "queue": ("queue", "큐"),
        "rule": ("rule", "규칙"),
        "supervisor": ("supervisor", "관리자"),
        "max_wait": ("waited too long", "최대 대기 초과"),
        "step": ("step {number}", "{number}단계"),
    },
    "skill": {
        "mode:inbound": ("inbound", "인바운드"),
        "mode:outbound": ("outbound", "아웃바운드"),
    },
}

TIMES = frozenset(("at", "until", "came", "due", "best_due", "key", "since"))
"""Parameters that are moments; `best` is one beside `due`."""
AGENTS = frozenset(("agent", "agents", "than"))
QUEUES = frozenset(("queue", "first"))


class Words:
    """Says reasons in a language, with the names and the time zone that the pool has now."""

    def __init__(self, pool: "Pool", language: Language) -> None:
        self._pool = pool
        self._number = LANGUAGES.index(language)
        self._today: dt.date | None = None

    def say(self, reason: Reason) -> str:
        moments = TIMES | {"best"} if "due" in reason.params else TIMES
        shown = {name: self._show(name, value, moments) for name, value in reason.params.items()}
        return TEMPLATES[reason.code][self._number].format_map(shown)

    def in_short(self, code: str) -> str:
        return IN_SHORT[code][self._number]

    def _show(self, name: str, value: Param, moments: frozenset[str]) -> str:
        if isinstance(value, tuple):
            return ", ".join(self._show(name, each, moments) for each in value)
        if name in moments and isinstance(value, float):
            return self.time(value)
        if isinstance(value, str):
            return self._named(name, value)
        return str(value) if isinstance(value, int) else f"{value:g}"

    def _named(self, name: str, value: str) -> str:
        known, _, number = value.partition(" ")
        if known in VALUES.get(name, {}):
            return VALUES[name][known][self._number].format(number=number)
        lookup = self._pool.lookup
        if name in AGENTS:
            return lookup.agents[value].name if value in lookup.agents else value
        if name in QUEUES:
            return lookup.queues[value].name
        if name == "brand" or (name == "skill" and value.startswith("brand:")):
            brand = value.removeprefix("brand:")
            return lookup.brands[brand].name if brand in lookup.brands else brand
        if name == "skill" and value in lookup.skills:
            return lookup.skills[value].name
        return value

    def time(self, t: float) -> str:
        """`14:03:20` today, else with the date. What is never due is so many years away that the date says it."""
        if self._today is None:
            self._today = self._pool.local(self._pool.t).date()
        local: dt.datetime = self._pool.local(t)
        return f"{local:%H:%M:%S}" if local.date() == self._today else f"{local:%Y-%m-%d %H:%M:%S}"
