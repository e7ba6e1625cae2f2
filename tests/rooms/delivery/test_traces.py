"""The trace that a failure keeps."""

import traceback
from collections.abc import Callable

import pytest

from mainstem.delivery.failures import Failure


def plain() -> None:
    """Raise an error with a text of its own."""
    raise ValueError(_number())


def _number() -> int:
    _number.counted += 1  # type: ignore[attr-defined]
    return int(_number.counted)  # type: ignore[attr-defined]


_number.counted = 0  # type: ignore[attr-defined]


def caused() -> None:
    """Raise an error from another."""
    try:
        plain()
    except ValueError as error:
        raise KeyError("k") from error


def in_handling() -> None:
    """Raise an error while another is handled."""
    try:
        plain()
    except ValueError:
        raise KeyError("k")  # noqa: B904 - this is what is to be seen


def noted() -> None:
    """Raise an error with a note."""
    error = ValueError("several\nlines")
    error.add_note("a note")
    raise error


def grouped() -> None:
    """Raise several at once."""
    raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])


@pytest.mark.parametrize("function", [plain, caused, in_handling, noted, grouped])
def test_the_trace_is_pythons_own(function: Callable[[], None]) -> None:
    """However often a line has failed before, its trace is what Python would print, with this error's own text."""
    for _ in range(3):
        try:
            function()
        except Exception as error:  # noqa: BLE001 - of all kinds
            assert Failure.of(error, 1).trace == "".join(traceback.format_exception(error))  # noqa: PT017 - as here


def test_what_is_remembered_of_traces_is_bounded() -> None:
    """Code that is made anew for each error does not fill the memory."""
    from mainstem.delivery.failures import raised  # noqa: PLC0415 - its memory is looked at

    for number in range(3 * raised._PLACES_MOST):
        namespace: dict[str, Callable[[], None]] = {}
        exec(f"def fail(): raise ValueError({number})", namespace)
        with pytest.raises(ValueError, match=str(number)) as raised_here:
            namespace["fail"]()
        assert Failure.of(raised_here.value, 1).trace.endswith(f"ValueError: {number}\n")
    assert len(raised._written) <= raised._PLACES_MOST
