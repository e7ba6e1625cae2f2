"""The header in front of every stored value."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mainstem.state import Stored, header, unpack


@given(
    version=st.integers(0, 0xFFFF),
    expires_ms=st.none() | st.integers(0, 2**64 - 1),
    payload=st.binary(max_size=20),
)
def test_what_goes_in_comes_out(version: int, expires_ms: int | None, payload: bytes) -> None:
    """Version, expiry and payload survive the way into bytes and back."""
    assert unpack(header(version, expires_ms) + payload) == Stored(version, expires_ms, payload)


def test_the_form_is_fixed() -> None:
    """These bytes lie in files: three in front of a value, eleven in front of one that expires."""
    assert header(1) == b"\x01\x00\x01"
    assert header(258, 3) == b"\x02\x01\x02" + b"\x00" * 7 + b"\x03"


@pytest.mark.parametrize(
    "value", [b"\x03\x00\x01rest", b"\x00\x00\x01rest", b"\xff" * 20, b"", b"\x01", b"\x01\x00", header(1, 7)[:-1]]
)
def test_a_later_form_is_refused(value: bytes) -> None:
    """What a later version has written, or what has no header at all, is never taken for a value."""
    with pytest.raises(ValueError, match="this version reads forms 1 and 2"):
        unpack(value)
