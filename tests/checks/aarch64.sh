#!/bin/sh
# The tests of fibers on aarch64, under an emulator of its programs.
#
# What depends on the machine is switch.S and the frame that fiber.c makes for
# it. Once by assembly, once by ucontext. Functions that nothing calls are left out,
# or the rest of the library would have to be there. Exit status
# 77, skipped, where the Debian packages gcc-aarch64-linux-gnu,
# libc6-dev-arm64-cross and qemu-user-static are missing.
#
# Usage: aarch64.sh SOURCE BUILD
set -eu

source=$1
program=$2/fiber-aarch64

for tool in aarch64-linux-gnu-gcc qemu-aarch64-static; do
    command -v $tool >/dev/null || {
        echo "skipped: $tool is not installed"
        exit 77
    }
done

cd "$source"
for how in WR_FIBER_AUTO WR_FIBER_UCONTEXT; do
    aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static \
        -ffunction-sections -Wl,--gc-sections -Wno-unused-parameter \
        -D_GNU_SOURCE= -D$how=1 -I. -Iinclude \
        -o "$program" tests/unit/fiber.c tests/walk.c lib/task/fiber.c \
        lib/task/stack.c lib/task/switch.S uring/alloc.c uring/check.c \
        uring/guard.c
    echo "$how:"
    qemu-aarch64-static "$program"
done
