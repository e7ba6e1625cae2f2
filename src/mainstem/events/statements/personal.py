"""A mark on a field that says something about a person."""


class Personal:
    """Marks a field that says something about a person: ``email: Annotated[str, Personal]``.

    It changes nothing about the bytes. The schema says it to everybody who reads it (``metadata.tags``).
    """
