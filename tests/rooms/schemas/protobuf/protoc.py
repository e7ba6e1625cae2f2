"""protoc itself, as a second opinion: what it makes of a text."""

from contextlib import redirect_stderr
from importlib.resources import files
from io import StringIO
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from mainstem.schemas.protobuf.language import OWN_NAME


def compiled(folder: Path, text: str, *imports: tuple[str, str]) -> FileDescriptorProto | None:
    """The file that protoc makes of a text, its options uninterpreted as far as they are custom; or none."""
    for name, content in (*imports, (OWN_NAME, text)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    target = folder / "descriptors"
    own = files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{folder}", f"-I{own}", f"--descriptor_set_out={target}", OWN_NAME]
    with redirect_stderr(StringIO()):
        if protoc.main(arguments) != 0:
            return None
    return FileDescriptorSet.FromString(target.read_bytes()).file[0]
