import json
import subprocess
import sys
from pathlib import Path

from relay.message.extraction.documents import read_document

CONFINED = """
import json, os, resource, socket, sys
from relay.message.extraction.confinement import allow_cpu, confine
barred, refused = confine()
results = {"barred": barred, "refused": refused}
def attempt(name, action):
    try:
        action()
    except (OSError, MemoryError) as error:
        results[name] = type(error).__name__
    else:
        results[name] = "done"
"""
ATTEMPTS = """
def connect(family, kind, address):
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        one.connect(address)
        one.send(b"x")
attempt("tcp", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", PORT)))
attempt("udp", lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", PORT)))
attempt("write", lambda: open(FOLDER + "/new", "wb"))
attempt("append", lambda: open(FOLDER + "/old", "ab"))
attempt("remove", lambda: os.unlink(FOLDER + "/old"))
attempt("make folder", lambda: os.mkdir(FOLDER + "/folder"))
attempt("read", lambda: open(FOLDER + "/old", "rb"))
attempt("list", lambda: os.listdir("/etc"))
attempt("execute", lambda: os.execv("/bin/true", ["true"]))
attempt("memory", lambda: bytearray(2 << 30))
attempt("files", lambda: [os.dup(0) for _ in range(200)])
print(json.dumps(results), flush=True)
"""


def _run(code: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_a_confined_process_can_do_nothing_else(tmp_path: Path) -> None:
    """No network, no file to read or write outside of the libraries, no program, no endless memory."""
    (tmp_path / "old").write_bytes(b"secret")
    results = _run(CONFINED + f"PORT, FOLDER = 9, {str(tmp_path)!r}\n" + ATTEMPTS)
    assert results.pop("barred") is True
    assert results.pop("refused") == []
    assert {name for name, outcome in results.items() if outcome == "done"} == set()
    assert (tmp_path / "old").read_bytes() == b"secret"


def test_without_namespaces_no_socket_is_made(tmp_path: Path) -> None:
    """Where the kernel refuses namespaces, as in Docker, neither TCP nor a datagram leaves, and that is no open network."""
    (tmp_path / "old").write_bytes(b"secret")
    # A process with two threads gets no user namespace (unshare(2)).
    second = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    results = _run(second + CONFINED + f"PORT, FOLDER = 9, {str(tmp_path)!r}\n" + ATTEMPTS + "os._exit(0)\n")
    assert results.pop("barred") is True
    assert results.pop("refused") == ["user and network namespaces (Invalid argument)"]
    assert (results["tcp"], results["udp"]) == ("PermissionError", "PermissionError")
    assert {name for name, outcome in results.items() if outcome == "done"} == set()


def test_cpu_time_is_limited() -> None:
    """A parser that never returns is ended by the kernel, even if nobody waits for it."""
    code = CONFINED + "allow_cpu(0)\nwhile True: pass\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert done.returncode < 0


def test_parsers_work_within_the_confinement() -> None:
    """What was loaded under confinement reads documents; codecs are found when they are first needed."""
    code = CONFINED + "from relay.message.extraction.documents import read_document\n"
    code += "found = read_document('a.rtf', '', rb\"{\\rtf1\\ansicpg932 \\'93\\'fa}\")\nprint(json.dumps([found.texts, found.problem]))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[["a.rtf", "\u65e5"]], ""]
    assert read_document("a.txt", "", b"x").problem == ""
