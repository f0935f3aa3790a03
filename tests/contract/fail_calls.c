/*
 * System calls that fail; see fail_calls.h.
 *
 * A seccomp filter answers instead of the call. It lasts until the process
 * ends, and each test has its own process. Operations of the ring are not
 * system calls of the thread, and are not filtered.
 */
#include "tests/contract/fail_calls.h"

#include "tests/unit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static void fail_by(struct sock_filter *filter, size_t len)
{
    const struct sock_fprog program = {.len = (unsigned short)len,
                                       .filter = filter};
    expect_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    expect_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

void fail_calls(uint32_t number, uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    fail_by(filter, sizeof(filter) / sizeof(filter[0]));
}

void fail_calls_of(uint32_t number, uint32_t index, uint32_t value,
                   uint32_t error)
{
    const uint32_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
    const uint32_t at =
        (uint32_t)offsetof(struct seccomp_data, args) + 8 * index + low;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    fail_by(filter, sizeof(filter) / sizeof(filter[0]));
}
