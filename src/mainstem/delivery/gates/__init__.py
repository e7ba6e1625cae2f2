"""What stands before a handler and may keep an event from it: that it has been seen before, or a rate limit."""

from mainstem.delivery.gates.deduplicate import Deduplicate, Sieve, check_deduplicate, sieve_of
from mainstem.delivery.gates.doubles import FORGET, SEEN_STORE, Doubles, relocated_seen
from mainstem.delivery.gates.forgetting import ForgetWork
from mainstem.delivery.gates.limits import Limit, Limits

__all__ = [
    "FORGET",
    "SEEN_STORE",
    "Deduplicate",
    "Doubles",
    "ForgetWork",
    "Limit",
    "Limits",
    "Sieve",
    "check_deduplicate",
    "relocated_seen",
    "sieve_of",
]
