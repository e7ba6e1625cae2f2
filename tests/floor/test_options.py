"""An option that is misspelt is refused with the name of what was called, and with those that there are."""

from collections.abc import Callable

import pytest

from mainstem import Breaker, KillSwitch, Limit
from mainstem.errors import DefinitionError
from mainstem.resilience import Backoff, BreakerRule, CallsWindow, FixedWindow, TimeWindow, TokenBucket


@pytest.mark.parametrize(
    ("call", "option", "meant"),
    [
        (KillSwitch, "failure", "failures"),
        (Breaker, "count", "counts"),
        (Limit, "pro", "per"),
        (BreakerRule, "failure_rat", "failure_rate"),
        (CallsWindow, "call", "calls"),
        (TimeWindow, "period", "period_ms"),
        (TokenBucket, "limits", "limit"),
        (FixedWindow, "limits", "limit"),
        (Backoff, "first_second", "first_seconds"),
    ],
)
def test_a_misspelt_option_is_told(call: Callable[..., object], option: str, meant: str) -> None:
    """Whoever has written it sees in which call it is, what there is, and what may have been meant."""
    with pytest.raises(DefinitionError) as error:
        call(**{option: 3})
    assert error.value.what == f"{call.__name__}(...) has no option {option!r}"
    assert meant in error.value.why
    assert error.value.remedy in (f"did you mean {meant}?", "leave it out, or name one of them")


def test_what_is_right_is_made_as_ever() -> None:
    """By place and by name, with its defaults and its own checks."""
    assert KillSwitch(3, probe="2s") == KillSwitch(failures=3, probe="2s", longest="1m")
    with pytest.raises(DefinitionError, match="could never open"):
        KillSwitch(failures=0)
