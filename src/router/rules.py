"""Classification: a brand's ordered rules, first match wins, a default always exists. Rules are data."""

from router.config import Condition, Config, Outcome

Facts = dict[str, str]


def classify(config: Config, brand: str, facts: Facts) -> tuple[str | None, Outcome]:
    """The first rule that matches, as (rule id, what it sets); without one, the empty outcome."""
    for rule in config.rules:
        if rule.brand in (None, brand) and holds(rule.when, facts):
            return rule.id, rule.then
    return None, Outcome()


def holds(condition: Condition, facts: Facts) -> bool:
    if condition.all is not None:
        return all(holds(part, facts) for part in condition.all)
    if condition.any is not None:
        return any(holds(part, facts) for part in condition.any)
    if condition.not_ is not None:
        return not holds(condition.not_, facts)
    return _compare(condition, facts.get(condition.field or ""))


def _compare(condition: Condition, actual: str | None) -> bool:
    if condition.op == "exists":
        return (actual is not None) == (condition.value is not False)
    if actual is None:
        return condition.op == "ne"
    if condition.op == "in":
        return isinstance(condition.value, tuple) and actual in condition.value
    wanted = str(condition.value)
    match condition.op:
        case "eq":
            return actual == wanted
        case "ne":
            return actual != wanted
        case "contains":
            return wanted.casefold() in actual.casefold()
        case "starts":
            return actual.casefold().startswith(wanted.casefold())
        case "gt":
            return actual > wanted
        case "lt":
            return actual < wanted
    return False
