"""What the helper gives up before it looks at a document: network, files, new programs, memory, cores.

Linux only. User, network, IPC and host-name namespaces (unshare), Landlock for files and TCP, resource limits, no new
privileges, not dumpable; where namespaces are refused, a filter of system calls under which no socket is made. Each can
be refused by the machine (Docker forbids namespaces, old kernels lack Landlock); what was refused is told, and without
any bar to the network nothing is read at all.
"""

import ctypes
import errno
import os
import resource
import struct
import sys
from pathlib import Path

MAX_MEMORY = 1536 << 20  # octets of address space; about 500 MiB of it are libraries
MAX_FILES = 64
MAX_THREADS = 64
_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 38, 4
_CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x04000000, 0x08000000, 0x10000000, 0x40000000
_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # number of rights by version of Landlock; later ones have no more
_NET_RIGHTS, _SCOPES = 0b11, 0b11  # bind and connect TCP; abstract sockets and signals
_NET_VERSION, _SCOPE_VERSION = 4, 6
# The filter of system calls (seccomp(2), classic BPF): the number of an architecture, and its number of socket(2).
_SOCKET_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_SYS_IO_URING_SETUP = 425  # a ring makes sockets without that call
_FIRST_OF_X32 = 0x40000000  # the same calls once more under other numbers
_PR_SET_SECCOMP, _FILTER = 22, 2
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_O_PATH = getattr(os, "O_PATH", 0o10000000)


def confine() -> tuple[bool, tuple[str, ...]]:
    """Confine this process for good; must run before a second thread exists.

    Returns whether the network is barred, and a clause for each thing that the machine refused. Never raises.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    refused = []
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        refused.append("giving up privileges")
    namespaces = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS) == 0
    if not namespaces:
        refused.append(f"user and network namespaces ({os.strerror(ctypes.get_errno())})")
    version = libc.syscall(_SYS_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if version < 1 or not _landlock(libc, version):
        refused.append("Landlock for files")
        version = 0
    if not _limits(threads=namespaces):
        refused.append("resource limits")
    # Landlock bars TCP and no more: a datagram would still leave.
    return namespaces or _no_sockets(libc), tuple(refused)


def _no_sockets(libc: ctypes.CDLL) -> bool:
    """Refuse every call that makes a socket, of this process and all that it starts; say whether the kernel does."""
    if (known := _SOCKET_CALLS.get(os.uname().machine)) is None or sys.maxsize < 1 << 32:
        return False
    architecture, socket_call = known
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 0, 5, architecture),  # the calls of 32-bit programs have other numbers
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_AT_LEAST, 3, 0, _FIRST_OF_X32),
        (_IF_EQUAL, 2, 0, socket_call),
        (_IF_EQUAL, 1, 0, _SYS_IO_URING_SETUP),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, program, 0, 0) == 0)


def _landlock(libc: ctypes.CDLL, version: int) -> bool:
    """Allow reading below the interpreter and the system's libraries, and nothing else of the file system."""
    rights = (1 << _FS_RIGHTS[min(version, max(_FS_RIGHTS))]) - 1
    attributes = struct.pack("=Q", rights)
    if version >= _NET_VERSION:
        attributes += struct.pack("=Q", _NET_RIGHTS)
    if version >= _SCOPE_VERSION:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = libc.syscall(_SYS_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    for folder in _readable():
        try:
            handle = os.open(folder, _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue  # not there, or out of this user's reach anyway
        rule = struct.pack("=Qi", _READ_FILE | _READ_DIR, handle)
        failed = libc.syscall(_SYS_ADD_RULE, ruleset, _PATH_BENEATH, rule, ctypes.c_uint32(0))
        os.close(handle)
        if failed:
            os.close(ruleset)
            return False
    done = libc.syscall(_SYS_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0
    os.close(ruleset)
    return bool(done)


def _readable() -> list[Path]:
    """Return where Python and its libraries lie: modules are still loaded, and codecs when they are first used."""
    own = Path(__file__).resolve().parents[3]
    folders = [Path(sys.prefix), Path(sys.base_prefix), own / "relay", own / "policies", Path("/usr/lib"), Path("/lib")]
    folders += [Path(entry) for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    return list(dict.fromkeys([*folders, Path("/lib64"), Path("/usr/lib64")]))


def _limits(*, threads: bool) -> bool:
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MAX_FILES,
    }
    if threads:
        # Counted per user namespace: outside of one it would count the relay's threads as well.
        limits[resource.RLIMIT_NPROC] = MAX_THREADS
    try:
        for limit, value in limits.items():
            resource.setrlimit(limit, (value, value))
    except (OSError, ValueError):
        return False
    return True


def allow_cpu(seconds: float) -> None:
    """Let this process use ``seconds`` more of CPU time (rounded up, all threads together); then the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 2
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until if hard == resource.RLIM_INFINITY else min(until, hard), hard))
