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
import socket
import struct

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
    }


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
            f"{machine['load']:.1f} at the start")
