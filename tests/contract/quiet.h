/*
 * An embedded loop that has nothing to do must not wake its host.
 *
 * A file that weir has closed may stay open in a child or under another number;
 * its events no longer concern the loop.
 */
#ifndef WEIR_TESTS_CONTRACT_QUIET_H
#define WEIR_TESTS_CONTRACT_QUIET_H

#include "tests/expect.h"

#include <weir/embed.h>
#include <weir/error.h>

#include <fcntl.h>
#include <poll.h>

enum { QUIET_TURNS_MAX = 100, QUIET_WAIT_MS = 20 };

/* Returns another descriptor of the same file, which stays open when @fd is
 * closed. */
static inline int keep_file_of(int fd)
{
    const int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    expect_geq(kept, 0);
    return kept;
}

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
