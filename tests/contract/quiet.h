/*
 * A guest that has nothing to do, and does not wake its host for it.
 *
 * What weir has closed may live on, in a child or under another number: it is
 * no work of the guest any more, whatever happens to it.
 */
#ifndef WEIR_TESTS_CONTRACT_QUIET_H
#define WEIR_TESTS_CONTRACT_QUIET_H

#include "tests/expect.h"

#include <weir/embed.h>
#include <weir/error.h>

#include <fcntl.h>
#include <poll.h>

enum { QUIET_TURNS_MAX = 100, QUIET_WAIT_MS = 20 };

/* Another descriptor of the same file, which stays when @fd is closed. */
static inline int keep_file_of(int fd)
{
    const int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    expect_geq(kept, 0);
    return kept;
}

/* The loop, whose descriptor a host waits for, comes to rest. */
static inline void expect_guest_rests(weir_loop *guest)
{
    struct pollfd look = {.fd = weir_loop_get_fd(guest), .events = POLLIN};
    expect_geq(look.fd, 0);
    for (int turns = 0;
         weir_loop_get_deadline(guest) <= weir_loop_get_time(guest) ||
         poll(&look, 1, QUIET_WAIT_MS) > 0;
         turns++) {
        cr_assert_lt(turns, QUIET_TURNS_MAX, "the host is woken again");
        expect_eq(weir_loop_run_once(guest), 0);
    }
}

#endif
