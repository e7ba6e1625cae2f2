"""SQLite: the connections, the lock, the schema of the file, group commit and the rows of stores."""

from mainstem.database.connection import Binding, Column, Connection, Query, blobs, integers
from mainstem.database.database import Database, DatabaseOptions, Memory
from mainstem.database.file import OFFSET_BITS, Inspection, inspect
from mainstem.database.lock import Holder
from mainstem.database.neighbours import Alone, Neighbours, Presence, SharedFolder
from mainstem.database.rows import TaskRows, write_rows
from mainstem.database.writer import Listener, Step, Work, Write, Writer, WriterOptions

__all__ = [
    "OFFSET_BITS",
    "Alone",
    "Binding",
    "Column",
    "Connection",
    "Database",
    "DatabaseOptions",
    "Holder",
    "Inspection",
    "Listener",
    "Memory",
    "Neighbours",
    "Presence",
    "Query",
    "SharedFolder",
    "Step",
    "TaskRows",
    "Work",
    "Write",
    "Writer",
    "WriterOptions",
    "blobs",
    "inspect",
    "integers",
    "write_rows",
]
