"""The suite asserts in library code; its assertions are to be as talkative as those of a test."""

import pytest

pytest.register_assert_rewrite("mainstem.testing.conformance")
