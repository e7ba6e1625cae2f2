"""What stands before a handler and may keep an event from it: here, that it has been seen before."""

from mainstem.delivery.gates.deduplicate import Deduplicate, Sieve, check_deduplicate, sieve_of
from mainstem.delivery.gates.doubles import FORGET, SEEN_STORE, Doubles, relocated_seen
from mainstem.delivery.gates.forgetting import ForgetWork

__all__ = [
    "FORGET",
    "SEEN_STORE",
    "Deduplicate",
    "Doubles",
    "ForgetWork",
    "Sieve",
    "check_deduplicate",
    "relocated_seen",
    "sieve_of",
]
