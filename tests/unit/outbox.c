/*
 * Outboxes without a connection: what may be written when, what is refused, and
 * what is sent.
 *
 * The transport is a table with `doom`, and its loop has only memory and a
 * budget. Its protocol writes, when it is called, what the test has set.
 */
#define UNIT_RUN with_outbox

#include "lib/transport/connection.h"

#include "tests/bind.h"
#include "tests/death.h"
#include "tests/unit/table.h"
#include "tests/walk.h"

static struct test_allocator allocator;
static struct wr_blocks blocks;
static struct wr_slab chunks;
static weir_loop loop;
static const void *volatile thread = &loop;
static struct wr_connection owner;
static weir_transport *const t = &owner.t;
static struct wr_outbox *const outbox = &owner.outbox;
static size_t queued_bytes; /* as reported to the owner */
static int doom_count;
static int pause_count;
static int resume_count;
static size_t resume_writes; /* bytes written in resume_writing */
static int resume_result;    /* result of that write */
static int release_count;

static void doom(weir_transport *of)
{
    expect_eq(of, t);
    doom_count++;
    wr_outbox_shut(outbox);
}

static void queued(weir_transport *of, size_t len)
{
    expect_eq(of, t);
    queued_bytes += len;
}

static const struct wr_transport_ops transport_ops = {
    .name = "unit",
    .size = sizeof(struct wr_connection),
    TABLE_REST,
    TABLE_DEVICE,
    .abort = table_not_called,
    .doom = doom,
    .abandon = table_not_called,
    .check = table_not_checked,
    .free = table_not_called,
    .queued = queued,
};

static void pause_writing(void *user, weir_transport *of)
{
    pause_count++;
}

static void resume_writing(void *user, weir_transport *of)
{
    resume_count++;
    if (resume_writes > 0) {
        static const uint8_t zeros[100];
        resume_result = wr_outbox_write(of, zeros, resume_writes);
    }
}

static CALLBACKS(protocol, STREAM, .pause_writing = pause_writing,
                 .resume_writing = resume_writing);

static void setup(void)
{
    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    wr_slab_init(&chunks, &allocator.hooks, sizeof(struct wr_chunk));
    memset(&loop, 0, sizeof(loop));
    loop.owner = &thread;
    memset(&owner, 0, sizeof(owner));
    loop.send_memory =
        (struct wr_sendq_memory){.blocks = &blocks, .chunks = &chunks};
    wr_budget_init(&loop.budget, &loop.pool, 64u << 20, 64u << 20);
    wr_transport_init(t, &loop, &transport_ops);
    t->binding.protocol = &protocol;
    queued_bytes = resume_writes = 0;
    doom_count = pause_count = resume_count = resume_result = 0;
    release_count = 0;
}

static void setup_open(void)
{
    setup();
    wr_outbox_open(outbox);
}

static void teardown(void)
{
    wr_outbox_shut(outbox);
    wr_outbox_drop(t);
    wr_outbox_check_invariants(outbox);
    expect_eq(outbox->queue.bytes, 0);
    expect_eq(loop.budget.queued_bytes, 0);
    wr_slab_fini(&chunks);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

static int write_bytes(size_t len)
{
    static const uint8_t zeros[1000];

    cr_assert_leq(len, sizeof(zeros));
    return wr_outbox_write(t, zeros, len);
}

static void release(void *arg)
{
    release_count++;
}

static int write_ref(size_t len)
{
    static const uint8_t zeros[1000];

    cr_assert_leq(len, sizeof(zeros));
    return wr_outbox_write_ref(t, zeros, len, release, NULL);
}

static void with_outbox(void (*body)(void))
{
    setup_open();
    body();
    teardown();
}

UNIT_IN(outbox, every_write_is_refused_before_there_is_a_connection, unit_alone,
        void)
{
    setup();

    expect_eq(write_bytes(1), -ESHUTDOWN);
    expect_eq(write_bytes(0), -ESHUTDOWN);
    expect_eq(write_ref(1), -ESHUTDOWN);

    expect_eq(queued_bytes, 0);
    teardown();
}

UNIT_IN(outbox, what_is_written_is_queued_and_counted, unit_alone, void)
{
    setup_open();

    expect_eq(write_bytes(10), 0);
    expect_eq(write_ref(20), 0);
    expect_eq(write_bytes(0), 0);

    expect_eq(queued_bytes, 30);
    expect_eq(outbox->queue.bytes, 30);
    expect_eq(wr_outbox_depth(outbox), 30);
    expect_eq(loop.budget.queued_bytes, 30);
    expect_eq(loop.counts.copied_by_write, 10);
    teardown();
    expect_eq(release_count, 1);
}

UNIT(outbox, nothing_is_written_after_an_end)
{
    expect_eq(write_bytes(10), 0);
    cr_assert(!wr_outbox_is_ending(outbox));
    wr_outbox_end(outbox);

    expect_eq(write_bytes(1), -ESHUTDOWN);
    cr_assert(wr_outbox_is_ending(outbox));
    cr_assert(!wr_outbox_is_over(outbox));
    wr_outbox_close(outbox);
    expect_eq(write_bytes(1), -ESHUTDOWN);

    expect_eq(outbox->queue.bytes, 10);
}

UNIT(outbox, a_peer_that_is_gone_is_told_by_every_write_from_then_on)
{
    wr_outbox_lose_peer(outbox);

    expect_eq(write_bytes(1), -EPIPE);
    wr_outbox_close(outbox);
    expect_eq(write_bytes(1), -EPIPE);
    wr_outbox_shut(outbox);

    expect_eq(write_bytes(1), -EPIPE);
    cr_assert(wr_outbox_is_over(outbox));
}

UNIT(outbox, a_second_end_and_a_second_close_change_nothing)
{
    wr_outbox_end(outbox);
    wr_outbox_end(outbox);
    expect_eq(outbox->state, WR_OUTBOX_ENDED);

    wr_outbox_close(outbox);
    wr_outbox_end(outbox);
    expect_eq(outbox->state, WR_OUTBOX_CLOSED);
    wr_outbox_shut(outbox);
    wr_outbox_shut(outbox);
    wr_outbox_close(outbox);

    expect_eq(outbox->state, WR_OUTBOX_SHUT);
}

UNIT_ABORTS(outbox, a_second_birth_is_a_fault,
            "allowed[o->state] >> state & 1u")
{
    setup_open();

    wr_outbox_open(outbox);
}

UNIT_ABORTS(outbox, a_close_of_what_was_never_open_is_a_fault,
            "o->state != WR_OUTBOX_NEW")
{
    setup();

    wr_outbox_close(outbox);
}

UNIT(outbox, a_refused_write_is_remembered_until_it_is_told)
{
    t->hard_limit_bytes = 20;
    expect_eq(write_bytes(20), 0);

    expect_eq(write_ref(1), -ENOBUFS);
    wr_outbox_consume(t, 20);
    expect_eq(write_bytes(1), -ENOBUFS);
    expect_eq(wr_transport_take_write_error(t), -ENOBUFS);

    expect_eq(write_bytes(1), 0);
    expect_eq(t->error, 0);
    expect_eq(release_count, 0); /* released by the caller */
}

UNIT(outbox, without_memory_a_write_is_refused_whole)
{
    allocator.fail_at = allocator.calls + 1;

    expect_eq(write_bytes(1), -ENOMEM);

    expect_eq(queued_bytes, 0);
    expect_eq(loop.budget.queued_bytes, 0);
    expect_eq(t->write_error, -ENOMEM);
    expect_eq(doom_count, 0);
}

UNIT(outbox, bytes_that_were_passed_on_use_up_the_hard_limit)
{
    t->hard_limit_bytes = 20;
    expect_eq(write_bytes(20), 0);
    wr_outbox_pass(outbox, 15);
    wr_outbox_consume(t, 15);
    expect_eq(wr_outbox_depth(outbox), 20);
    expect_eq(loop.budget.queued_bytes, 5);

    expect_eq(write_bytes(1), -ENOBUFS);
    expect_eq(wr_transport_take_write_error(t), -ENOBUFS);
    wr_outbox_passed(outbox, 1);

    expect_eq(write_bytes(1), 0);
}

UNIT(outbox, above_the_high_mark_the_protocol_pauses_until_the_low_one)
{
    wr_transport_set_marks(t, 10, 5);
    expect_eq(write_bytes(10), 0);
    expect_eq(pause_count, 0);
    expect_eq(write_bytes(1), 0);
    expect_eq(pause_count, 1);

    wr_outbox_pass(outbox, 11);
    wr_outbox_consume(t, 11);
    wr_outbox_notify(t);
    expect_eq(resume_count, 0); /* they are not sent */
    wr_outbox_passed(outbox, 6);
    wr_outbox_notify(t);

    expect_eq(resume_count, 1);
}

UNIT(outbox, lower_marks_pause_at_once)
{
    expect_eq(write_bytes(11), 0);
    wr_transport_set_marks(t, 10, 5);

    wr_outbox_limits_changed(t);

    expect_eq(pause_count, 1);
}

/* The bytes are sent by a close, and resume_writing writes. */
static void write_in_resume_of_a_close(size_t len)
{
    wr_transport_set_marks(t, 1, 0);
    expect_eq(write_bytes(10), 0);
    expect_eq(pause_count, 1);
    wr_outbox_close(outbox);
    expect_eq(write_bytes(1), -ESHUTDOWN);
    resume_writes = len;
    wr_outbox_consume(t, 10);
    wr_outbox_notify(t);
    expect_eq(resume_count, 1);
}

UNIT(outbox, resume_writing_may_write_while_a_close_sends)
{
    write_in_resume_of_a_close(7);

    expect_eq(resume_result, 0);
    expect_eq(outbox->queue.bytes, 7);
    expect_eq(doom_count, 0);
}

UNIT(outbox, bytes_that_a_close_has_no_room_for_doom_the_connection)
{
    t->hard_limit_bytes = 20;

    write_in_resume_of_a_close(21);

    expect_eq(resume_result, -ENOBUFS);
    expect_eq(t->error, -ENOBUFS);
    cr_assert(t->has_dropped);
    expect_eq(doom_count, 1);
}

UNIT(outbox, after_an_end_resume_writing_may_not_write_either)
{
    wr_outbox_end(outbox);
    outbox->in_resume = true;

    wr_outbox_close(outbox);

    expect_eq(write_bytes(1), -ESHUTDOWN);
    expect_eq(t->write_error, 0);
}

UNIT(outbox, while_a_close_sends_no_file_may_be_sent)
{
    struct wr_sender earlier;
    const struct wr_sendfile file = {.fd = -1};
    outbox->sender = &earlier;
    wr_outbox_close(outbox);
    outbox->in_resume = true;

    expect_eq(wr_outbox_sendfile(t, &file), -ESHUTDOWN);
    expect_eq(write_bytes(1), -EBUSY);

    outbox->in_resume = false;
    outbox->sender = NULL;
}

UNIT_IN(outbox, the_protocol_is_not_told_once_it_is_over, unit_alone, void)
{
    setup_open();
    wr_transport_set_marks(t, 1, 0);
    expect_eq(write_bytes(10), 0);
    wr_outbox_shut(outbox);

    wr_outbox_consume(t, 10);
    wr_outbox_notify(t);

    expect_eq(resume_count, 0);
    cr_assert(!t->has_dropped);
    teardown();
    cr_assert(!t->has_dropped);
}

UNIT(outbox, what_waits_at_the_end_is_dropped_and_that_is_known)
{
    expect_eq(write_bytes(1), 0);
    expect_eq(write_ref(1), 0);

    wr_outbox_shut(outbox);
    wr_outbox_drop(t);

    cr_assert(t->has_dropped);
    expect_eq(release_count, 1);
}
