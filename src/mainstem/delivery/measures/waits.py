"""What a group waits for in this process, and since when, so that nobody need guess why nothing happens."""

from mainstem.clock import Clock


class Waits:
    """One reason for each task that does not run yet, and one for the membership; its number is None."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is waited for."""
        self._clock = clock
        self._for: dict[int | None, tuple[str, float]] = {}

    def note(self, number: int | None, what: str) -> None:
        """It waits for this now; since when it has done so is kept where it is not new."""
        before = self._for.get(number)
        if before is None or before[0] != what:
            self._for[number] = what, self._clock.monotonic()

    def over(self, number: int | None) -> None:
        """It waits no more."""
        self._for.pop(number, None)

    def longer_than(self, seconds: float) -> tuple[str, ...]:
        """What has been waited for at least so long, in words."""
        now = self._clock.monotonic()
        return tuple(
            f"{'it' if number is None else f'task {number}'} has waited for {now - since:.0f} s {what}"
            for number, (what, since) in sorted(self._for.items(), key=lambda each: (each[0] is not None, each[0] or 0))
            if now - since >= seconds
        )
