"""The machine that a comparison runs on: what it is, and a network for it.

Figures of bulk say little without the caches that they were measured in, and
nothing repeats while the machine's congestion control is BBR: on loopback it
paces by timers and guesses a bandwidth that is not there, and one loop's cost
then differs by a factor of two from run to run. So the comparison runs in a
network namespace of its own, where it may choose.
"""
import ctypes
import fcntl
import glob
import os
import re
import socket
import struct
import time

import peers

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control"
PORTS = "/proc/sys/net/ipv4/ip_local_port_range"
CHOSEN_PORTS = "20000 65535"  # see harness.LAST_PORT
CHOSEN_CONTROL = "reno"  # every kernel has it, and every namespace allows it


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _leave_network():
    """A new network, with a new user namespace where root is needed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    return True


def enter_own_network():
    """Whether this process has a loopback of its own from now on."""
    if not _leave_network():
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", IFF_UP)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)
    _write(CONTROL, CHOSEN_CONTROL)
    _write(PORTS, CHOSEN_PORTS)
    return True


def _processor():
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def _caches(cpu):
    """The sizes as the kernel writes them, by name: L1d, L1i, L2, L3."""
    sizes = {}
    for path in sorted(glob.glob(
            f"/sys/devices/system/cpu/cpu{cpu}/cache/index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(_read(f"{path}/type"), "")
        sizes[f"L{_read(f'{path}/level')}{kind}"] = _read(f"{path}/size")
    return sizes


def _are_siblings(cpu, other):
    """Whether two CPUs are threads of one core."""
    path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings"
    try:
        mask = int(_read(path).replace(",", ""), 16)
    except OSError:
        return False
    return mask >> other & 1 == 1


def _call_ns():
    """What a system call takes here, less what Python adds: calls are dear on
    some machines, and who makes few of them gains there."""
    def least(function, *arguments):
        best = float("inf")
        for _ in range(20):
            start = time.perf_counter_ns()
            for _ in range(500):
                function(*arguments)
            best = min(best, time.perf_counter_ns() - start)
        return best / 500

    return round(max(0.0, least(os.getppid) - least(abs, 1)))


def _mitigations():
    """The faults of the processor that the kernel works around."""
    ret = []
    for path in sorted(glob.glob(
            "/sys/devices/system/cpu/vulnerabilities/*")):
        if "itigation" in _read(path):
            ret.append(os.path.basename(path))
    return ret


def _system():
    try:
        for line in _read("/etc/os-release").splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.split("=", 1)[1].strip('"')
    except OSError:
        pass
    return "unknown system"


def _is_guest():
    return " hypervisor" in _read("/proc/cpuinfo")


def _memory_mib():
    first = _read("/proc/meminfo").splitlines()[0]
    return int(first.split()[1]) // 1024


def describe(options, has_own_network):
    """Without it a table of another day means little."""
    return {
        "kernel": os.uname().release,
        "processor": _processor(),
        "caches": _caches(options.server_cpu),
        "server_cpu": options.server_cpu,
        "client_cpu": options.client_cpu,
        "one_core": _are_siblings(options.server_cpu, options.client_cpu),
        "own_network": has_own_network,
        "congestion_control": _read(CONTROL),
        "load": os.getloadavg()[0],
        "system": _system(),
        "cpus": os.cpu_count(),
        "memory_mib": _memory_mib(),
        "is_guest": _is_guest(),
        "call_ns": _call_ns(),
        "mitigations": _mitigations(),
        # Kernel features that weir must not use, and the engine that it runs on.
        "masked": os.environ.get("WEIR_FEATURES_MASK", ""),
        "engine": peers.engine(options.build),
    }


def _size(text):
    """A cache's size as people write it, of the kernel's 2048K."""
    found = re.fullmatch(r"([0-9]{1,9})K", text)
    kib = int(found[1]) if found else 0
    if kib == 0:
        return text
    return f"{kib // 1024} MiB" if kib % 1024 == 0 else f"{kib} KiB"


def kind_of(machine):
    """What kind of machine it is, in a few words: figures of another kind are
    other figures."""
    name = re.sub(r"\((?:R|TM)\)|CPU|Processor|@.*", "",
                  machine["processor"])
    caches = " and ".join(
        f"{_size(machine['caches'][level])} of {level}"
        for level in ("L2", "L3") if level in machine["caches"])
    parts = [" ".join(name.split()) + (" guest" if machine["is_guest"] else "")]
    if caches:
        parts.append(caches)
    if machine["call_ns"] is not None:
        parts.append(f"system calls of {machine['call_ns'] / 1000:.2f} us")
    return ", ".join(parts)


def as_text(machine):
    """The lines above a table."""
    caches = ", ".join(f"{name} {size}"
                       for name, size in machine["caches"].items())
    cores = ("threads of one core: everything scatters"
             if machine["one_core"] else "no threads of one core")
    network = ("on a loopback of its own" if machine["own_network"]
               else "on the machine's loopback")
    return (f"{machine['processor']}; {caches or 'caches unknown'}; "
            f"Linux {machine['kernel']}\n"
            f"server on CPU {machine['server_cpu']}, client on CPU "
            f"{machine['client_cpu']} ({cores}); TCP "
            f"{machine['congestion_control']} {network}; load "
            f"{machine['load']:.1f} at the start; weir on "
            f"{machine['engine'] or 'an engine that it does not name'}")
