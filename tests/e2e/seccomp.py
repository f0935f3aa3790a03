"""Seccomp filters for the children of tests: system calls that fail."""

import ctypes
import errno
import platform
import struct

from harness import Skip

IO_URING = (425, 426, 427)  # setup, enter, register
CLONE3 = 435
CLOSE_RANGE = 436

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000

# Docker's (since 25) and containerd's default profiles.
DOCKER = {CLONE3: errno.ENOSYS} | {number: errno.EPERM for number in IO_URING}

# A filter that is older than all of these calls.
OLD = {number: errno.ENOSYS for number in (CLONE3, CLOSE_RANGE, *IO_URING)}

# No engine at all: epoll_create1() fails, too.
NO_LOOP = OLD | {20 if platform.machine() == "aarch64" else 291: errno.EMFILE}


class SockFprog(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refuse(errors):
    """For preexec_fn: these calls fail with their errors from now on."""
    if platform.machine() not in ("x86_64", "aarch64"):
        raise Skip("the numbers of the system calls are not known here")
    instructions = struct.pack("HBBI", 0x20, 0, 0, 0)  # the call's number
    for number, error in errors.items():
        instructions += struct.pack("HBBI", 0x15, 0, 1, number)
        instructions += struct.pack("HBBI", 0x06, 0, 0,
                                    SECCOMP_RET_ERRNO | error)
    instructions += struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW)
    memory = ctypes.create_string_buffer(instructions)
    program = SockFprog(len(instructions) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
                PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)):
            raise OSError(ctypes.get_errno(), "seccomp")
        assert memory

    return install
