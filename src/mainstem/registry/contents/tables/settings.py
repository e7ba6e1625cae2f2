"""What is configured, by what it is for: a subject, a context as ``:.context:``, all as nothing."""

from collections.abc import Iterator
from typing import cast

from mainstem.registry.contents.tables.cells import Cells
from mainstem.registry.contents.tables.records import Config, Mode


class Settings:
    """Configurations and modes, each as somebody has set it."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def config(self, scope: str) -> Config | None:
        """What is configured for a subject, a context or all itself."""
        return self._cells.get(Config, "config", scope)

    def configs(self) -> Iterator[tuple[str, Config]]:
        """Everything that is configured, by what it is for."""
        for parts, value in self._cells.scan(Config, "config", ""):
            yield parts[1], value

    def put_config(self, scope: str, config: Config | None) -> None:
        """Write or remove it."""
        self._cells.put(config, "config", scope)

    def mode(self, scope: str) -> Mode | None:
        """The mode of a subject, a context or all itself."""
        return cast("Mode | None", self._cells.get(str, "mode", scope))

    def modes(self) -> Iterator[str]:
        """What has a mode of its own."""
        for parts, _ in self._cells.scan(str, "mode", ""):
            yield parts[1]

    def put_mode(self, scope: str, mode: Mode | None) -> None:
        """Write or remove it."""
        self._cells.put(mode, "mode", scope)
