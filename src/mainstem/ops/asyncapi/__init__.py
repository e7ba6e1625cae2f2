"""The command ``asyncapi``: services described for people and programs that do not read Python."""

from mainstem.ops.asyncapi.command import asyncapi
from mainstem.ops.asyncapi.document import document_of
from mainstem.ops.asyncapi.page import page_of

__all__ = ["asyncapi", "document_of", "page_of"]
