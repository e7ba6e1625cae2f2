"""From a request to its answer: which endpoint, in which media type, from whom, and what came of it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.clock import Clock
from mainstem.errors import MainstemError
from mainstem.registry.contents import Access, RegistryError, store_failed, too_late
from mainstem.registry.http import media
from mainstem.registry.http.apart import Apart
from mainstem.registry.http.call import Call, Text
from mainstem.registry.http.description import description
from mainstem.registry.http.endpoints import ENDPOINTS, Endpoint
from mainstem.registry.http.paths import Path, Unreadable
from mainstem.registry.http.query import Query
from mainstem.registry.http.refusal import Refused
from mainstem.registry.http.security import EVERYBODY, Account, Audit, Deed, Exposure, Gate, logged
from mainstem.registry.http.shapes import Failure
from mainstem.schemas.registries import MEDIA_TYPE
from mainstem.telemetry import log
from mainstem.web import Answer, Asked, BodyRefused

NOT_FOUND: Final = Refused(404, "HTTP 404 Not Found")
INCOMPATIBLE: Final = 40901
_NOT_KEPT: Final = {"cache-control": "no-store"}


class Options(Struct, frozen=True):
    """How the surface behaves. ``incompatible_code`` is 409, as clients have known it, or 40901 as from 8.2.0 on."""

    incompatible_code: int = 409
    request_seconds: float = 30.0


class Api:
    """The HTTP surface of a registry: answers any request, and never with an exception for what it was sent."""

    def __init__(
        self,
        access: Access,
        clock: Clock,
        exposure: Exposure | None = None,
        options: Options | None = None,
        audit: Audit = logged,
    ) -> None:
        """Raises ``StartRefused`` where the exposure is one that no registry may have."""
        exposure = exposure or Exposure()
        exposure.check()
        self._access = access
        self._clock = clock
        self._gate = Gate(exposure)
        self._options = options or Options()
        self._audit = audit
        self._apart = Apart()
        self._described = msgspec.json.encode(description(self._options.incompatible_code))

    async def answer(self, asked: Asked) -> Answer:
        """Answer it."""
        one = _Request(asked)
        try:
            async with asyncio.timeout(self._options.request_seconds):
                answer = await self._answered(one)
        except BodyRefused as refused:
            answer = one.failure(refused.status, refused.why, headers={"connection": "close"})
        except Refused as refused:
            answer = one.failure(refused.status, refused.message, headers=refused.headers)
        except RegistryError as refused:
            number = self._options.incompatible_code if refused.number == INCOMPATIBLE else refused.number
            answer = one.failure(number, refused.message)
        except TimeoutError:
            late = too_late(f"no answer within {self._options.request_seconds:g} seconds; ask again")
            answer = one.failure(late.number, late.message)
        except MainstemError as error:
            log.error("%s %s: %s", asked.method, asked.path, error)
            answer = one.failure(store_failed().number, error.what)
        except Exception:  # noqa: BLE001 - what a rule cannot cope with is answered, and written down, like all else
            log.exception("%s %s has failed", asked.method, asked.path)
            failed = store_failed()
            answer = one.failure(failed.number, failed.message)
        self._record(one, answer)
        return answer

    async def _answered(self, one: "_Request") -> Answer:
        asked = one.asked
        one.media_type = _offered(asked)
        path = _path(asked)
        if path.parts == ("openapi.json",) and asked.method in ("GET", "HEAD"):
            return Answer(200, self._described)
        endpoint, names = one.found = _endpoint(asked.method, path)
        one.subject = names.get("subject", names.get("context", ""))
        one.account = EVERYBODY if endpoint.open else await self._gate.account(asked)
        if not media.taken(asked.headers.get("content-type")) or asked.headers.get("content-encoding", "identity") != (
            "identity"
        ):
            raise Refused(415, "HTTP 415 Unsupported Media Type")
        body = b"" if endpoint.request is None else await asked.read()
        call = Call(
            self._access, one.account, names, Query(asked.query), asked.headers, self._apart, body, path.context
        )
        return one.success(await endpoint.answering(call), endpoint.status)

    def _record(self, one: "_Request", answer: Answer) -> None:
        endpoint = one.found[0] if one.found else None
        if answer.status not in (401, 403) and (endpoint is None or not endpoint.changes):
            return
        asked = one.asked
        self._audit(
            Deed(
                at_ms=self._clock.now_ms(),
                who=one.account.name if one.account is not None else "",
                client=self._gate.client(asked),
                method=asked.method,
                path=asked.path[:1000],
                status=answer.status,
                subject=one.subject[:1000],
                code=one.code,
            )
        )


class _Request:
    """What is known of a request by now."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.media_type = MEDIA_TYPE
        self.account: Account | None = None
        self.found: tuple[Endpoint, Mapping[str, str]] | None = None
        self.subject = ""
        self.code = 0

    def success(self, value: object, status: int) -> Answer:
        """The answer with this value; a text is sent as it is."""
        if status == 204:
            return Answer(status)
        body = value.encode("utf-8", "replace") if isinstance(value, Text) else msgspec.json.encode(value)
        return Answer(status, body, self.media_type, _NOT_KEPT)

    def failure(self, code: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer that says why not."""
        self.code = code
        plain = message.encode("utf-8", "replace").decode()
        body = msgspec.json.encode(Failure(code, plain))
        return Answer(int(str(code)[:3]), body, self.media_type, {**_NOT_KEPT, **(headers or {})})


def _offered(asked: Asked) -> str:
    found = media.chosen(asked.headers.get("accept"))
    if found is None:
        raise Refused(406, "HTTP 406 Not Acceptable")
    return found


def _path(asked: Asked) -> Path:
    try:
        return Path.read(asked.path)
    except Unreadable:
        raise Refused(400, "the path is not UTF-8") from None


def _endpoint(method: str, path: Path) -> tuple[Endpoint, Mapping[str, str]]:
    """What is meant. Raises :class:`Refused` where there is no such path, or nothing of it with this method."""
    wanted = "GET" if method == "HEAD" else method
    candidates = _BY_LENGTH.get(len(path.parts), ())
    matching = [(each, names) for each in candidates if (names := each.template.match(path.parts)) is not None]
    if not matching:
        raise NOT_FOUND
    most = matching[0][0].template.text
    here = [each for each in matching if each[0].template.text == most]
    for endpoint, names in here:
        if endpoint.method == wanted:
            return endpoint, names
    allowed = sorted(
        {each.method for each, _ in here} | ({"HEAD"} if any(e.method == "GET" for e, _ in here) else set())
    )
    raise Refused(405, "HTTP 405 Method Not Allowed", {"allow": ", ".join(allowed)})


_BY_LENGTH: Final[Mapping[int, Sequence[Endpoint]]] = {
    length: sorted(
        (each for each in ENDPOINTS if each.template.length == length), key=lambda each: -each.template.fixed
    )
    for length in {each.template.length for each in ENDPOINTS}
}
"""Of each length of path, the endpoints with the fewest names in it first."""
