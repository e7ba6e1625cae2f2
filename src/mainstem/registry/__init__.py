"""The schema registry: what it keeps and by which rules, the service or the folder that keeps it, and its HTTP API.

``http`` needs an extra, so it is loaded by who uses it: ``from mainstem.registry.http import ...``.
"""

from mainstem.registry import contents, folder, ledger
from mainstem.registry.local import LocalRegistry

__all__ = ["LocalRegistry", "contents", "folder", "http", "ledger"]
