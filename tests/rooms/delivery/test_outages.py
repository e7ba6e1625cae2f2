"""A broker that does not answer is said once for a process."""

import logging

import pytest

from mainstem.delivery import Outage
from mainstem.errors import BrokerAway

AWAY = BrokerAway("The cluster does not answer", where="somewhere")


def test_an_outage_is_said_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many wait, and however often they ask. It ends when the last is answered; the next one is another."""
    outage = Outage()
    with caplog.at_level(logging.WARNING, logger="mainstem"):
        for now in range(3):
            for who in ("group 'a'", "task 1 of 'b'", "group 'c'"):
                outage.notice(who, AWAY, now)
        outage.over("group 'a'", 8)
        outage.leave("group 'c'")
        outage.over("nobody", 9)
        assert [each.levelname for each in caplog.records] == ["ERROR"]
        outage.over("task 1 of 'b'", 10)
        assert caplog.messages[1:] == ["the broker answers again, after 10 s"]
        outage.notice("group 'a'", AWAY, 20)
        assert "group 'a': The cluster does not answer" in caplog.messages[2]
