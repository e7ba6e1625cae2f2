"""What is stated about an event type beside its name and its route: form in bytes, fields, enums, older versions."""

from mainstem.events.statements.fallback import fallback, fallback_of
from mainstem.events.statements.form import EventFormat, SchemaId, SubjectStrategy, check_form
from mainstem.events.statements.numbers import FieldNumber, numbered, numbers_of, retired, retired_in
from mainstem.events.statements.personal import Personal
from mainstem.events.statements.upcasts import Plain, Step, Upcasts

__all__ = [
    "EventFormat",
    "FieldNumber",
    "Personal",
    "Plain",
    "SchemaId",
    "Step",
    "SubjectStrategy",
    "Upcasts",
    "check_form",
    "fallback",
    "fallback_of",
    "numbered",
    "numbers_of",
    "retired",
    "retired_in",
]
