"""The schemas that records name: which of them nobody here knows yet, and asking for these."""

from collections.abc import Collection, Mapping

from mainstem.broker import Batch
from mainstem.events import CE_TYPE
from mainstem.schemas.upcasting import Cells, Reading
from mainstem.schemas.writers import SCHEMA_HEADER, SchemaName, Writers


class Acquaintance:
    """What whoever reads some types has to know of writers' schemas before the records of a batch can be decoded."""

    __slots__ = ("_named", "_typed", "_writers")

    def __init__(self, readings: Mapping[tuple[str, bytes | None], Reading], writers: Writers | None) -> None:
        """``readings`` by topic and the bytes of the type header, None for a topic without envelope."""
        self._writers = writers
        self._named = {at: each.named for at, each in readings.items() if each.named is not None}
        # The topics with records that name the schema they were written with, and whether their types stand there too.
        self._typed = {topic: name is not None for topic, name in self._named}

    def unknown(self, batch: Batch, *, again: bool = False) -> Collection[SchemaName]:
        """The schemas that somebody must be asked for before the records of a batch can be decoded; mostly none.

        Its events are in binary mode. Those that were denied just now are among them when they are asked for ``again``.
        """
        typed = self._typed.get(batch.topic)
        if typed is None:
            return ()
        headers, *types = batch.several((SCHEMA_HEADER, CE_TYPE) if typed else (SCHEMA_HEADER,))
        if not types:
            return self._unknown((batch.topic, None), batch.values, headers, again=again)
        found: set[SchemaName] = set()
        for name in set(types[0] or ()):
            at = [index for index, each in enumerate(types[0] or ()) if each == name]
            values = [batch.values[index] for index in at]
            named = headers and [headers[index] for index in at]
            found.update(self._unknown((batch.topic, name), values, named, again=again))
        return found

    async def ask(self, names: Collection[SchemaName], *, again: bool = False) -> None:
        """Ask for schemas, so that they are known or denied; those that were denied only ``again``.

        Raises one of :data:`~mainstem.schemas.writers.AWAY` where nobody answers.
        """
        if self._writers is not None:
            await self._writers.acquire(names, again=again)

    async def ask_again(self, batch: Batch) -> None:
        """Ask for all that a batch names and nobody knows, also what was denied just now. Raises as :meth:`ask`."""
        await self.ask(self.unknown(batch, again=True), again=True)

    def _unknown(
        self, at: tuple[str, bytes | None], values: Cells, headers: Cells | None, *, again: bool
    ) -> Collection[SchemaName]:
        named = self._named.get(at)
        return () if named is None else named.unknown(values, headers, again=again)
