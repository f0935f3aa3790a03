#!/usr/bin/env python3
"""Runs fibers with shadow stacks, on an emulated processor that has them.

Few machines have a processor, a kernel and a C library with shadow stacks, and
QEMU has none. Bochs 3 does; a kernel of Debian from 6.6 on boots there with
shadow.c as its only program. Both are fetched into .deps/kernels/ from the
mirror that this machine uses, and nothing is installed. It takes a minute.

  tests/kernels/shadow.py [VERSION-OF-LINUX]
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

import boot

PACKAGES = ["bochs", "bochsbios", "vgabios", "isolinux", "syslinux-common",
            "xorriso"]
PARTS = ("lib/task/fiber.c lib/task/shadow.c lib/task/stack.c lib/task/switch.S "
         "uring/alloc.c uring/check.c uring/guard.c").split()
SECONDS = 900

MACHINE = """
cpu: model=arrow_lake, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=256, host=256
romimage: file={bios}
vgaromimage: file={vga}
ata0-master: type=cdrom, path={disk}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
display_library: rfb, options="timeout=60"
sound: driver=dummy
log: {log}
panic: action=fatal
clock: sync=none
"""

LOADER = """
default linux
prompt 0
timeout 1
label linux
 kernel /vmlinuz
 append initrd=/initrd console=ttyS0 quiet loglevel=4 panic=-1 lpj=1000000
"""


def find(root, path):
    """A file of the fetched packages, or of installed ones."""
    for base in (root, ""):
        if os.path.exists(base + path):
            return base + path
    raise boot.Missing("no " + path)


def build(folder):
    """The program, as one file."""
    program = os.path.join(folder, "init")
    subprocess.run(
        ["cc", "-std=gnu11", "-O2", "-g", "-fcf-protection=full",
         "-D_GNU_SOURCE=", "-I.", "-Iinclude", "-static", "-o", program,
         "tests/kernels/shadow.c", *PARTS], cwd=boot.TOP, check=True)
    with open(program, "rb") as file:
        return file.read()


def make_disk(folder, root, start, kernel):
    tree = os.path.join(folder, "tree")
    os.makedirs(tree + "/isolinux")
    archive = boot.Archive(tree + "/initrd")
    archive.entry("init", stat.S_IFREG | 0o755, build(folder))
    archive.entry("dev", stat.S_IFDIR | 0o755)
    archive.close()
    shutil.copy(kernel, tree + "/vmlinuz")
    shutil.copy(find(root, "/usr/lib/ISOLINUX/isolinux.bin"), tree + "/isolinux")
    shutil.copy(find(root, "/usr/lib/syslinux/modules/bios/ldlinux.c32"),
                tree + "/isolinux")
    with open(tree + "/isolinux/isolinux.cfg", "w", encoding="utf-8") as file:
        file.write(LOADER)
    disk = os.path.join(folder, "disk.iso")
    program = find(root, "/usr/bin/xorriso")
    own = start if program.startswith(root) else []
    subprocess.run(
        own + [program, "-as", "mkisofs", "-quiet", "-o", disk,
               "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
               "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", tree],
        stderr=subprocess.DEVNULL, check=True)
    return disk


def watch_screen():
    """Bochs waits for a viewer; this one looks at nothing."""
    for _ in range(300):
        try:
            screen = socket.create_connection(("127.0.0.1", 5900))
            break
        except OSError:
            time.sleep(0.2)
    else:
        return
    with screen:
        screen.recv(12)
        screen.sendall(b"RFB 003.003\n")
        screen.recv(4)
        screen.sendall(b"\1")
        while screen.recv(65536):
            pass


def run(folder, root, start, disk):
    """What the machine printed."""
    serial = os.path.join(folder, "serial")
    machine = os.path.join(folder, "machine")
    with open(machine, "w", encoding="utf-8") as file:
        file.write(MACHINE.format(
            bios=find(root, "/usr/share/bochs/BIOS-bochs-latest"),
            vga=find(root, "/usr/share/bochs/VGABIOS-lgpl-latest"), disk=disk,
            serial=serial, log=os.path.join(folder, "log")))
    plugins = find(root, "/usr/lib/x86_64-linux-gnu/bochs/plugins")
    env = dict(os.environ, LTDL_LIBRARY_PATH=plugins,
               BXSHARE=root + "/usr/share/bochs")
    threading.Thread(target=watch_screen, daemon=True).start()
    with subprocess.Popen(
            start + [find(root, "/usr/bin/bochs-bin"), "-q", "-f", machine],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=env) as bochs:
        # Its debugger waits for a command; at an end of them it would leave.
        bochs.stdin.write(b"c\n")
        bochs.stdin.flush()
        text = ""
        end = time.monotonic() + SECONDS
        while bochs.poll() is None and time.monotonic() < end and \
                "all passed" not in text and "end Kernel panic" not in text:
            time.sleep(0.5)
            if os.path.exists(serial):
                with open(serial, encoding="utf-8", errors="replace") as file:
                    text = file.read()
        bochs.kill()
    return text


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    os.makedirs(boot.STORE, exist_ok=True)
    apt = boot.Apt()
    with tempfile.TemporaryDirectory() as folder:
        try:
            root, start, _ = apt.unpack("bochs", PACKAGES, ("trixie", "sid"),
                                        "usr/bin/bochs-bin")
            kernel = boot.find_image((sys.argv[1:] + ["6.12"])[0], apt, folder)
            disk = make_disk(folder, root, start, kernel)
        except boot.Missing as missing:
            print(f"skipped: {missing}")
            return 0
        text = run(folder, root, start, disk)
    print(text, end="")
    return 0 if "all passed" in text else 1


if __name__ == "__main__":
    sys.exit(main())
