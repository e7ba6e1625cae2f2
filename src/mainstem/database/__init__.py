"""SQLite: the connections, the lock, the schema of the file, group commit and the rows of stores."""

from mainstem.database.connection import Connection, Query, integers
from mainstem.database.database import Database, DatabaseOptions, Memory
from mainstem.database.file import OFFSET_BITS, Inspection, Moved, holder_of, inspect, moved, stamp
from mainstem.database.lock import FileLock
from mainstem.database.neighbours import Alone, Neighbours, Presence, SharedFolder
from mainstem.database.rows import Changes, Mark, RowsFile, TaskRows, store_names, write_rows
from mainstem.database.writer import Restamp, Step, Write, Writer, WriterOptions

__all__ = [
    "OFFSET_BITS",
    "Alone",
    "Changes",
    "Connection",
    "Database",
    "DatabaseOptions",
    "FileLock",
    "Inspection",
    "Mark",
    "Memory",
    "Moved",
    "Neighbours",
    "Presence",
    "Query",
    "Restamp",
    "RowsFile",
    "SharedFolder",
    "Step",
    "TaskRows",
    "Write",
    "Writer",
    "WriterOptions",
    "holder_of",
    "inspect",
    "integers",
    "moved",
    "stamp",
    "store_names",
    "write_rows",
]
