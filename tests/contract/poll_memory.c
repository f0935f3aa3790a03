/*
 * The epoll engine without memory: operations that wait for memory do not delay
 * others, a full queue costs only its oldest entry, and everything can be
 * stopped.
 */
#define UNIT_RUN   with_ring
#define UNIT_TAKES void
#include "tests/unit.h"
#include "tests/walk.h"
#include "uring/op.h"
#include "uring/poll/poll_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* More operations than any remaining memory allows. */
enum { ENTRIES = 64, OPS_MAX = 4000, TURNS_MAX = 60000 };

struct poller {
    struct wr_op op;
    int32_t res;
    int completions;
};

static struct test_allocator memory;
static struct wr_uring uring;
static struct poller pollers[OPS_MAX];
static int poller_count;
static int never[2];
static int ready[2]; /* a socket that receives a byte sent to its other end */

static void completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct poller *poller = wr_container_of(op, struct poller, op);

    poller->res = res;
    poller->completions++;
}

static struct poller *add(int fd)
{
    cr_assert_lt(poller_count, OPS_MAX);
    struct poller *poller = &pollers[poller_count++];

    *poller = (struct poller){.res = 1};
    wr_op_init(&poller->op, completed);
    wr_prep_poll(&uring, &poller->op, fd, POLLIN, false);
    return poller;
}

static void turn(void)
{
    expect_eq(wr_uring_enter(&uring, 1, UINT64_MAX), 0);
    wr_uring_dispatch(&uring, UINT32_MAX);
}

static void wait_for(const struct poller *poller)
{
    for (int turns = 0; poller->op.in_flight; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "the operation does not end");
        turn();
    }
    expect_eq(poller->completions, 1);
}

static void with_ring(void (*body)(void))
{
    allocator_init(&memory);
    const struct wr_ring_options options = {.allocator = &memory.hooks,
                                            .sq_entries = ENTRIES,
                                            .cq_entries = 4 * ENTRIES,
                                            .engine = WR_ENGINE_POLL};
    poller_count = 0;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, never), 0);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
    expect_eq(wr_uring_open(&uring, &options), 0);
    expect_eq(wr_ring_enable(uring.ring), 0);
    body();
    for (int i = 0; i < poller_count; i++) {
        wr_op_cancel(&uring, &pollers[i].op);
    }
    for (int turns = 0; uring.ops_in_flight > 0; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "the ring does not end");
        turn();
    }
    wr_uring_close(&uring);
    allocator_check(&memory);
    for (int i = 0; i < 2; i++) {
        close(never[i]);
        close(ready[i]);
    }
}

static void run_out(void)
{
    memory.fail_at = memory.calls + 1;
    memory.fail_after = true;
}

static void submit(void)
{
    expect_eq(wr_uring_enter(&uring, 0, 0), 0);
}

static void wait_for_memory(uint32_t count)
{
    for (submit(); wr_ring_unsubmitted(uring.ring) < count; submit()) {
        add(never[0]);
    }
    expect_eq(wr_ring_unsubmitted(uring.ring), count);
}

UNIT(poll_memory, others_go_on_while_an_entry_waits)
{
    const struct poller *other = add(ready[0]);
    submit();
    run_out();
    wait_for_memory(3);
    expect_eq(write(ready[1], "x", 1), 1);

    wait_for(other);

    cr_assert(other->res & POLLIN);
    submit();
    expect_eq(wr_ring_unsubmitted(uring.ring), 2, "one has taken its place");
}

UNIT(poll_memory, sends_and_closes_go_on)
{
    char byte;
    const struct poller *own = &pollers[poller_count];
    struct poller send = {.res = 1};
    const int fd = dup(never[0]);
    run_out();
    wait_for_memory(ENTRIES / 2);
    wr_op_init(&send.op, completed);

    wr_prep_send(&uring, &send.op, ready[1], "x", 1);
    wr_prep_close_any(&uring, fd);
    wait_for(&send);

    expect_eq(send.res, 1);
    expect_eq(read(ready[0], &byte, 1), 1);
    expect_eq(fcntl(fd, F_GETFD), -1);
    expect_eq(own->completions, 0);
}

UNIT(poll_memory, an_entry_that_waits_is_cancelled)
{
    run_out();
    wait_for_memory(3);
    struct poller *stuck = &pollers[poller_count - 2];

    wr_op_cancel(&uring, &stuck->op);
    wait_for(stuck);

    expect_eq(stuck->res, -ECANCELED);
    expect_eq(wr_ring_unsubmitted(uring.ring), 2);
    cr_assert(pollers[poller_count - 1].op.in_flight);
}

UNIT(poll_memory, a_full_queue_costs_its_oldest_entry_alone)
{
    run_out();
    wait_for_memory(1);
    struct poller *oldest = &pollers[poller_count - 1];
    for (int i = 1; i < ENTRIES; i++) {
        add(never[0]);
    }
    cr_assert(oldest->op.in_flight);

    add(never[0]);
    wait_for(oldest);

    expect_eq(oldest->res, -ENOMEM);
    cr_assert(oldest[1].op.in_flight);
    submit();
}

UNIT(poll_memory, with_memory_again_all_begin)
{
    run_out();
    wait_for_memory(ENTRIES / 2);
    const struct poller *last = add(ready[0]);
    expect_eq(write(ready[1], "x", 1), 1);

    memory.fail_at = 0;
    wait_for(last);

    expect_eq(wr_ring_unsubmitted(uring.ring), 0);
    cr_assert(last->res & POLLIN);
}

static struct poller sends[OPS_MAX];
static int send_count;

/* Sends a byte, which only needs a slot for its completion. Returns false if
 * there is none. */
static bool sends_one(void)
{
    const uint32_t before = wr_ring_unsubmitted(uring.ring);
    cr_assert_lt(send_count, OPS_MAX);
    struct poller *send = &sends[send_count++];

    *send = (struct poller){.res = 1};
    wr_op_init(&send->op, completed);
    wr_prep_send(&uring, &send->op, ready[1], "x", 1);
    submit();
    return wr_ring_unsubmitted(uring.ring) == before;
}

/* A successful cancel has no completion and needs no slot. */
UNIT(poll_memory, a_cancel_takes_the_last_place_for_what_it_ends)
{
    int places = 0;
    send_count = 0;
    run_out();
    wait_for_memory(1);
    struct poller *stuck = &pollers[poller_count - 1];
    while (sends_one()) {
        places++;
    }
    wr_uring_dispatch(&uring, UINT32_MAX);
    submit();
    for (int i = 0; i < places - 2; i++) { /* except for the waiting one */
        cr_assert(sends_one());
    }

    wr_op_cancel(&uring, &stuck->op);
    submit();

    expect_eq(wr_ring_unsubmitted(uring.ring), 0);
    cr_assert_not(sends_one(), "no place is left");
    wait_for(stuck);
    expect_eq(stuck->res, -ECANCELED);
}

/* The rig cancels everything before there is memory again. */
UNIT(poll_memory, everything_ends_without_memory)
{
    run_out();
    wait_for_memory(ENTRIES / 2);
}

enum { RECEIVERS = 3 };

static int ends[RECEIVERS][2];
static uint8_t received[RECEIVERS];

static struct poller *receive(int number)
{
    struct poller *receiver = &pollers[poller_count++];

    *receiver = (struct poller){.res = 1};
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[number]), 0);
    wr_op_init(&receiver->op, completed);
    wr_prep_recv_into(&uring, &receiver->op, ends[number][0], &received[number],
                      1);
    return receiver;
}

/* Bytes arrive at all receivers, and at the poll last. The ring has no buffers:
 * each enter handles an event of one receiver and keeps the others. */
static const struct wr_ep_interest *keep_events(struct poller **receivers,
                                                const struct poller **poller)
{
    for (int i = 0; i < RECEIVERS; i++) {
        receivers[i] = receive(i);
    }
    *poller = add(ready[0]);
    submit();
    for (int i = 0; i < RECEIVERS; i++) {
        expect_eq(write(ends[i][1], "x", 1), 1);
    }
    expect_eq(write(ready[1], "x", 1), 1);
    turn();
    return &wr_container_of(uring.ring, struct wr_ep_ring, base)->interest;
}

static void close_ends(void)
{
    for (int i = 0; i < RECEIVERS; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

UNIT(poll_events, those_of_connections_are_kept_and_others_are_handled)
{
    struct poller *receivers[RECEIVERS];
    const struct poller *poller;

    const struct wr_ep_interest *interest = keep_events(receivers, &poller);

    expect_eq(receivers[0]->completions, 1);
    expect_eq(poller->completions, 1, "it is behind those that are kept");
    expect_eq(receivers[1]->completions, 0);
    expect_eq(interest->event_count, RECEIVERS - 1);
    for (uint32_t i = 0; i < interest->event_count; i++) {
        cr_assert(wr_ep_interest_is_own(interest, i));
    }
    for (int i = 1; i < RECEIVERS; i++) {
        turn();
        expect_eq(receivers[i]->completions, 1);
    }
    close_ends();
}

UNIT(poll_events, a_kept_one_does_not_meet_the_next_file_of_its_number)
{
    struct poller *receivers[RECEIVERS];
    const struct poller *poller;
    const struct wr_ep_interest *interest = keep_events(receivers, &poller);
    const int fd = ends[1][0];

    wr_op_cancel(&uring, &receivers[1]->op);
    wait_for(receivers[1]);
    wr_prep_close(&uring, fd);
    submit();
    expect_eq(dup2(never[0], fd), fd);
    const struct poller *next = add(fd);
    submit();
    wait_for(receivers[2]);
    for (int i = 0; i < 3; i++) {
        expect_eq(wr_uring_enter(&uring, 1, 0), 0);
        wr_uring_dispatch(&uring, UINT32_MAX);
    }

    expect_eq(receivers[1]->res, -ECANCELED);
    expect_eq(next->completions, 0);
    cr_assert_not(wr_ep_interest_has_events(interest), "it is dropped");
    cr_assert_not(interest->removes, "it is none of a file that lives on");
    expect_eq(write(never[1], "x", 1), 1);
    wait_for(next);
    close_ends();
}
