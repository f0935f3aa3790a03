#!/bin/sh
# What switch.S says that it supports, and that it holds.
#
# The linker drops a note of a library that one of its objects lacks. So switch.S
# has the notes of IBT and of shadow stacks (SHSTK; BTI on aarch64) whatever the
# compiler is told; by ucontext it has none of shadow stacks. The objects of an
# archive, if any of
# them in C has a note, all have it. Then fibers are a library of their own, which
# the linker refuses if it lacks the note: their tests run with it, on aarch64
# under an emulator that faults where a landing pad or a signature of an address
# is missing, and with a processor that has neither.
#
# Usage: landing.sh SOURCE BUILD COMPILER [ARCHIVE...]
set -eu

source=$1
work=$2/landing
compiler=$3
shift 3
mkdir -p "$work"
cd "$source"

parts="lib/task/fiber.c lib/task/shadow.c lib/task/stack.c uring/alloc.c uring/check.c \
    uring/guard.c"
flags="-std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -D_GNU_SOURCE= -I. -Iinclude"

fail() {
    echo "landing.sh: $*" >&2
    exit 1
}

# features FILE: the names in its note, or nothing
features() {
    readelf -n "$1" 2>/dev/null |
        sed -n 's/.*\(x86\|AArch64\) feature: //p' | sort -u
}

# expect FILE FEATURES
expect() {
    [ "$(features "$1")" = "$2" ] ||
        fail "$1 has the note '$(features "$1")', not '$2'"
}

# build COMPILER FLAG HOW LINKER-FLAGS: the library, and the program of its tests
build() {
    # shellcheck disable=SC2086
    $1 $2 $flags -D$3=1 -fPIC -shared -nostartfiles $4 \
        -o "$work/libfiber.so" $parts lib/task/switch.S 2>"$work/ld.log" ||
        fail "$1 $2: $(cat "$work/ld.log")"
    ! grep -q 'missing.*\(IBT\|BTI\)\|do not have BTI' "$work/ld.log" ||
        fail "$1 $2: $(cat "$work/ld.log")"
    # shellcheck disable=SC2086
    $1 $2 $flags -D$3=1 -ffunction-sections -Wl,--gc-sections \
        -o "$work/test" tests/unit/fiber.c tests/walk.c \
        -L"$work" -lfiber "-Wl,-rpath,$work"
}

# A switch jumps behind a call of wr_fiber_swap(), or to where a fiber begins.
# There are landing pads, or, where the compiler has none for such calls, the jump
# is not tracked.
check_pads() {
    objdump -d --no-show-raw-insn "$work/libfiber.so" >"$work/code"
    grep -q 'notrack jmp' "$work/code" || fail "the jump of a switch is tracked"
    for where; do
        awk -v where="$where" '
            is_behind && !/endbr64/ { missing++ }
            { is_behind = $0 ~ where; found += is_behind }
            END { exit missing || !found }' "$work/code" ||
            fail "no landing pad behind $where"
    done
}

case $($compiler -dumpmachine) in
x86_64-*)
    for flag in -fcf-protection=none -fcf-protection=branch -fcf-protection=full; do
        # shellcheck disable=SC2086
        $compiler $flag $flags -c -o "$work/switch.o" lib/task/switch.S
        expect "$work/switch.o" "IBT, SHSTK"
        # shellcheck disable=SC2086
        $compiler $flag $flags -DWR_FIBER_UCONTEXT=1 -c -o "$work/switch.o" \
            lib/task/switch.S
        expect "$work/switch.o" IBT
    done
    for flag in -fcf-protection=branch -fcf-protection=full; do
        for how in WR_FIBER_AUTO WR_FIBER_UCONTEXT; do
            refuse=warning
            has=IBT
            if [ "$flag, $how" = "-fcf-protection=full, WR_FIBER_AUTO" ]; then
                refuse=error
                has="IBT, SHSTK"
            fi
            build "$compiler" $flag $how -Wl,-z,cet-report=$refuse
            expect "$work/libfiber.so" "$has"
            echo "$flag, $how:"
            "$work/test"
            [ $how = WR_FIBER_UCONTEXT ] ||
                case $($compiler --version) in
                *clang*) check_pads '<wr_fiber_entry>:$' ;;
                *) check_pads '<wr_fiber_entry>:$' '(call|jmp) .*<wr_shadow_swap' ;;
                esac
        done
    done
    ;;
esac

# The object of switch.S has a note in any case.
for archive; do
    lacking=$(readelf -n "$archive" 2>/dev/null | awk '
        /^File: / { name = $2; if (!(name in has)) has[name] = 0 }
        /feature: .*(IBT|BTI)/ { has[name] = 1; count += name !~ /switch/ }
        END { if (count) for (name in has) if (!has[name]) print name }')
    [ -z "$lacking" ] || fail "objects without the note: $lacking"
done

if command -v aarch64-linux-gnu-gcc qemu-aarch64-static >/dev/null; then
    for how in WR_FIBER_AUTO WR_FIBER_UCONTEXT; do
        build aarch64-linux-gnu-gcc -mbranch-protection=standard $how \
            -Wl,-z,force-bti,--fatal-warnings
        case $(features "$work/libfiber.so") in
        BTI*) ;;
        *) fail "aarch64: no note of BTI" ;;
        esac
        for cpu in max cortex-a53; do
            echo "$how on $cpu:"
            qemu-aarch64-static -cpu $cpu -L /usr/aarch64-linux-gnu "$work/test"
        done
    done
else
    echo "aarch64 is left out: no cross compiler, or no emulator"
fi
