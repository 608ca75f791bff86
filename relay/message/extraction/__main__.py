"""The helper process: ``python -I -m relay.message.extraction``. Started by `Helper`, never by a person.

It confines itself before any parser is loaded, says what was refused, then answers one document after the other until
its input ends. After RECYCLE documents, or when it has grown, it says so and ends.
"""

import importlib
import os
import sys
from typing import Any, BinaryIO

from relay.message.extraction.confinement import allow_cpu, confine
from relay.message.extraction.frames import LENGTH, length_of, pack, unpack

RECYCLE = 500  # documents
MAX_RESIDENT = 400 << 20  # octets that the process may hold after a document


def main() -> int:
    """Serve documents from standard input to standard output; return the exit code."""
    # Whatever a library prints must not get between the frames.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    memory = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)  # cannot be opened any more later
    barred, refused = confine()
    documents = importlib.import_module("relay.message.extraction.documents")  # loads the parsers, now confined
    _send(answers, {"barred": barred, "refused": list(refused)})
    for served in range(1, RECYCLE + 1):
        head = requests.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return 0
        request = unpack(requests.read(length_of(head)))
        data = requests.read(request["size"])
        allow_cpu(request["seconds"])
        answer = answer_to(documents, request, data)
        answer["last"] = answer["last"] or _resident(memory) > MAX_RESIDENT or served == RECYCLE
        _send(answers, answer)
        if answer["last"]:
            return 0
    return 0


def _resident(memory: int) -> int:
    """Return the octets that are in memory now; the kernel's own peak value begins with that of the relay."""
    return int(os.pread(memory, 200, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answer_to(documents: Any, request: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Read one document with the module ``documents`` and return the answer; a fault becomes a problem."""
    try:
        found = documents.read_document(request["name"], request["type"], data)
    except MemoryError:
        return _failure("needs more memory to be read than is allowed")
    except Exception:  # noqa: BLE001  # a fault in a parser is a fact about the document; nothing is told of its text
        return _failure("could not be read")
    return {
        "texts": found.texts,
        "members": found.members,
        "problem": found.problem,
        "encrypted": found.encrypted,
        "last": False,
    }


def _failure(problem: str) -> dict[str, Any]:
    return {"texts": [], "members": [], "problem": problem, "encrypted": False, "last": True}


def _send(answers: BinaryIO, content: dict[str, Any]) -> None:
    answers.write(pack(content))
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
