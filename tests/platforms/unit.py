#!/usr/bin/env python3
"""weir-proxy as a service of systemd: the unit of the packages, in a root of
Debian whose systemd is the first process of namespaces of its own.

It starts as a user of its own and serves port 80, is reloaded, feeds the
watchdog, is started again after a crash and when it hangs, and ends its
connections when it is stopped; and `systemd-analyze security` is asked. As root
of the machine, with debootstrap and Debian's mirror:

    tests/platforms/unit.py build

With --root DIR the root is kept there for the next time.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT_S = 300
EXPOSURE = 2.0  # by systemd-analyze, at most
PACKAGES = "systemd,systemd-sysv,dbus,procps,libssl3,libc-ares2,curl"
CONFIGURATION = """threads = 2
admin = 127.0.0.1:9100
ctl = /run/weir-proxy/ctl
log = /var/log/weir-proxy/log

[web]
listen = tcp://127.0.0.1:80
to = tcp://127.0.0.1:9100
"""
TRY_UNIT = """[Service]
Type=oneshot
ExecStart=/bin/bash /try.sh
TimeoutStartSec=infinity
"""

# The first process of the root. Its cgroups are below those of a group that is
# made for it.
BOOT = r"""
set -e
for kind in systemd unified .; do
    group=/sys/fs/cgroup/$kind
    if [ -e $group/cgroup.procs ]; then
        mkdir -p $group/weir-unit
        echo $$ > $group/weir-unit/cgroup.procs
    fi
done
exec unshare --cgroup --net --uts --ipc --mount --pid --fork \
    --kill-child --propagation private /bin/bash -c '
set -e
cd "$0"
mount --bind . .
cd "$0"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir -p sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
exec env container=weir PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
    /lib/systemd/systemd --log-target=null
' "$1"
"""

TRY = r"""
exec > /try.log 2>&1
unit=weir-proxy
value() { systemctl show $unit -p $1 --value; }
check() { if [ "$2" "$3" "$4" ]; then echo "ok $1"; else
    echo "not ok $1: $2 $3 $4"; fi; }
serves() {
    status=$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/healthz)
    check "$1" "$status" = 200
}
until_other() { # process than $1
    for _ in $(seq 90); do
        sleep 1
        pid=$(value MainPID)
        [ $pid != 0 ] && [ $pid != $1 ] &&
            [ "$(value ActiveState)" = active ] && return
    done
}
systemctl start $unit
check 'it starts' $? = 0
serves 'port 80 is served'
pid=$(value MainPID)
check 'its user is its own' \
    "$(awk '/^Uid/ { print $2 }' /proc/$pid/status)" -gt 1000
check 'no right but that of low ports' \
    "$(awk '/^CapEff/ { print $2 }' /proc/$pid/status)" = 0000000000000400
/usr/local/bin/weir-proxy --ctl /run/weir-proxy/ctl status
check 'it takes orders' $? = 0
sed -i 's/^\[web\]/&\nidle-timeout = 1m/' /etc/weir-proxy/weir-proxy.ini
systemctl reload $unit
for _ in $(seq 60); do
    journalctl -u $unit -o cat --no-pager | grep -q 'read again' && break
    sleep 1
done
check 'it reads its configuration again' \
    "$(journalctl -u $unit -o cat --no-pager | grep -c 'read again')" = 1
check 'the same process serves' "$(value MainPID)" = $pid
fed=$(value WatchdogTimestampMonotonic)
sleep 20
check 'it feeds the watchdog' "$(value WatchdogTimestampMonotonic)" -gt $fed
kill -SEGV $pid
until_other $pid
check 'it is started again after a crash' "$(value NRestarts)" = 1
serves 'it serves then'
kill -STOP $pid
until_other $pid
check 'it is started again when it hangs' "$(value NRestarts)" = 2
serves 'it serves again'
exec 5<>/dev/tcp/127.0.0.1/80
sleep 1
systemctl stop --no-block $unit
sleep 2
check 'it waits for its connections when it is stopped' \
    "$(value ActiveState)" = deactivating
exec 5>&-
for _ in $(seq 60); do
    [ "$(value ActiveState)" = inactive ] && break
    sleep 1
done
check 'it ends with them' "$(value ActiveState)" = inactive
check 'that is a success' "$(value Result)" = success
systemd-analyze security --no-pager $unit | tail -1
systemctl poweroff --force --force
"""


def make_root(root):
    subprocess.run(["debootstrap", "--variant=minbase",
                    f"--include={PACKAGES}", "bookworm", root], check=True)


def fill(root, build):
    """What is tried, and the script that tries it."""
    shutil.copy(build / "tools/weir-proxy", root / "usr/local/bin")
    unit = (build / "tools/weir-proxy.service").read_text("utf-8")
    unit = re.sub(r"=\S*/weir-proxy ", "=/usr/local/bin/weir-proxy ", unit)
    units = root / "etc/systemd/system"
    (units / "weir-proxy.service").write_text(unit, "utf-8")
    (units / "try.service").write_text(TRY_UNIT, "utf-8")
    (root / "etc/weir-proxy").mkdir(exist_ok=True)
    (root / "etc/weir-proxy/weir-proxy.ini").write_text(CONFIGURATION, "utf-8")
    (root / "try.sh").write_text(TRY, "utf-8")
    (root / "try.log").unlink(missing_ok=True)
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)
    link = units / "multi-user.target.wants/try.service"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/systemd/system/try.service")


def leave_groups():
    """Those that systemd has made below its own are empty now."""
    for kind in ("systemd", "unified", "."):
        for folder, _, _ in os.walk(f"/sys/fs/cgroup/{kind}/weir-unit",
                                    topdown=False):
            os.rmdir(folder)


def run_in(root):
    try:
        subprocess.run(["bash", "-c", BOOT, "boot", str(root)], check=False,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                       timeout=LIMIT_S)
    finally:
        leave_groups()
    return (root / "try.log").read_text("utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("it needs root and debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        root = (options.root or pathlib.Path(folder) / "root").resolve()
        if not (root / "lib/systemd/systemd").exists():
            make_root(root)
        fill(root, options.build)
        text = run_in(root)
    print(text, end="")
    found = re.search(r"exposure level for \S+: ([\d.]+)", text)
    if not found or float(found[1]) > EXPOSURE or "not ok" in text:
        sys.exit("the unit fails")


if __name__ == "__main__":
    main()
