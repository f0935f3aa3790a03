/*
 * Table 2.5: write, writelines and write_ref in every state of a connection,
 * one test for each row and column.
 *
 * Where asyncio is silent weir returns a status: -ESHUTDOWN after write_eof or
 * close, -EPIPE on a broken connection. Writes while a close flushes are
 * refused too, but for those from inside resume_writing. The row "sendfile
 * running" is in sendfile.c.
 */
#include "tests/contract/rows.h"

/* A column: writes the next @len bytes of the pattern. */
typedef int writer(struct rig *rig, size_t len);

static int write_lines(struct rig *rig, size_t len)
{
    uint8_t *buf = malloc(len + 1);
    expect(buf != NULL);
    rig_pattern(buf, rig->written, len);
    const struct iovec iov[] = {
        {.iov_base = buf, .iov_len = len / 3},
        {.iov_base = NULL, .iov_len = 0},
        {.iov_base = buf + len / 3, .iov_len = len - len / 3},
        {.iov_base = buf, .iov_len = 0},
    };
    int err = weir_transport_writelines(rig->t, iov, 4);
    rig->written += err == 0 ? len : 0;
    free(buf);
    return err;
}

/* The memory is freed by its release; once, or the allocator complains. */
static int write_by_reference(struct rig *rig, size_t len)
{
    uint8_t *buf = malloc(len + 1);
    expect(buf != NULL);
    rig_pattern(buf, rig->written, len);
    int err = weir_transport_write_ref(rig->t, buf, len, free, buf);
    rig->written += err == 0 ? len : 0;
    return err;
}

/* ---- rows ---- */

static void open_and_empty(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        const struct weir_loop_statistics before = rig_statistics(&rig);

        expect_eq(write_some(&rig, 3000), 0);

        expect_eq(rig_pending(&rig), 3000);
        expect_eq(rig_statistics(&rig).submitted, before.submitted);
        rig_turns(&rig, 2);
        expect_eq(rig_pending(&rig), 0);
        rig_peer_read(&rig, 3000);
    }
}

static void open_and_pending(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        enter_pending(&rig);
        const size_t before = rig_pending(&rig);

        expect_eq(write_some(&rig, 3000), 0);

        expect_eq(rig_pending(&rig), before + 3000);
        rig_peer_read(&rig, rig.written);
        rig_turns(&rig, 2);
        expect_eq(rig_pending(&rig), 0);
    }
}

static void after_write_eof(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        enter_after_write_eof(&rig);

        expect_eq(write_some(&rig, 3000), -ESHUTDOWN);

        expect_eq(rig_pending(&rig), 0);
        expect_eq(rig_peer_read_end(&rig), 0);
        expect_eq(rig.peer_received, 0);
        expect_events(&rig, "made");
    }
}

static void closing_and_empty(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        enter_closing_empty(&rig);

        expect_eq(write_some(&rig, 3000), -ESHUTDOWN);

        expect_eq(rig_pending(&rig), 0);
        expect_eq(rig_peer_read_end(&rig), 0);
        expect_eq(rig.peer_received, 0);
        expect_eq(rig.lost_err, 0);
    }
}

static void closing_and_pending(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        enter_closing_pending(&rig);
        const size_t before = rig_pending(&rig);

        expect_eq(write_some(&rig, 3000), -ESHUTDOWN);

        expect_eq(rig_pending(&rig), before);
        expect_eq(rig_peer_read_end(&rig), 0);
        expect_eq(rig.peer_received, rig.written);
        rig_expect_lost(&rig, 0);
    }
}

static void after_an_error(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next_that(&rig, RIG_CAN_BREAK)) {
        enter_broken(&rig);

        expect_eq(write_some(&rig, 3000), -EPIPE);

        expect_eq(rig_pending(&rig), 0);
        expect_eq(weir_transport_get_error(rig.t), -ECONNRESET);
        leave_broken(&rig);
    }
}

static void after_the_loss(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        enter_lost(&rig);

        expect_eq(write_some(&rig, 3000), -ESHUTDOWN);

        expect_eq(rig_pending(&rig), 0);
        rig_turns(&rig, 3);
        expect_events(&rig, "made lost");
    }
}

static void nothing(writer *write_some)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        rig_turns(&rig, 3); /* the end of a handshake leaves */
        const struct weir_loop_statistics before = rig_statistics(&rig);

        expect_eq(write_some(&rig, 0), 0);
        rig_turns(&rig, 3);

        expect_eq(rig_pending(&rig), 0);
        const struct weir_loop_statistics after = rig_statistics(&rig);
        expect_eq(after.sent_bytes, before.sent_bytes);
        if (rig_can(&rig, RIG_IS_PLAIN)) { /* TLS may receive tickets */
            expect_eq(after.submitted, before.submitted);
        }
        enter_after_write_eof(&rig);
        expect_eq(write_some(&rig, 0), -ESHUTDOWN);
    }
}

/* ---- write ---- */

UNIT(write_matrix, open_and_empty__write_leaves_at_the_end_of_the_turn)
{
    open_and_empty(rig_write);
}

UNIT(write_matrix, open_and_pending__write_is_appended)
{
    open_and_pending(rig_write);
}

UNIT(write_matrix, after_write_eof__write_is_refused)
{
    after_write_eof(rig_write);
}

UNIT(write_matrix, closing_and_empty__write_is_refused)
{
    closing_and_empty(rig_write);
}

UNIT(write_matrix, closing_and_pending__write_is_refused)
{
    closing_and_pending(rig_write);
}

UNIT(write_matrix, after_an_error__write_says_that_the_connection_is_broken)
{
    after_an_error(rig_write);
}

UNIT(write_matrix, after_the_loss__write_is_refused)
{
    after_the_loss(rig_write);
}

UNIT(write_matrix, nothing__write_does_nothing_but_checks_the_state)
{
    nothing(rig_write);
}

/* ---- writelines ---- */

UNIT(write_matrix, open_and_empty__writelines_leaves_at_the_end_of_the_turn)
{
    open_and_empty(write_lines);
}

UNIT(write_matrix, open_and_pending__writelines_is_appended)
{
    open_and_pending(write_lines);
}

UNIT(write_matrix, after_write_eof__writelines_is_refused)
{
    after_write_eof(write_lines);
}

UNIT(write_matrix, closing_and_empty__writelines_is_refused)
{
    closing_and_empty(write_lines);
}

UNIT(write_matrix, closing_and_pending__writelines_is_refused)
{
    closing_and_pending(write_lines);
}

UNIT(write_matrix, after_an_error__writelines_says_that_it_is_broken)
{
    after_an_error(write_lines);
}

UNIT(write_matrix, after_the_loss__writelines_is_refused)
{
    after_the_loss(write_lines);
}

UNIT(write_matrix, nothing__writelines_skips_empty_pieces)
{
    nothing(write_lines);
}

PAIRS(write_matrix, sizes_that_overflow__writelines_is_refused, rig,
      .needs = RIG_BOTH_WAYS)
{
    const struct iovec iov[] = {{.iov_base = NULL, .iov_len = SIZE_MAX},
                                {.iov_base = NULL, .iov_len = 2}};

    expect_eq(weir_transport_writelines(rig->t, iov, 2), -EOVERFLOW);

    expect_eq(rig_pending(rig), 0);
}

UNIT(write_matrix, many_pieces__writelines_sends_all_in_order)
{
    enum { PIECES = 1500 }; /* more than one send can name */
    static uint8_t bytes[PIECES * 7];
    static struct iovec iov[PIECES];
    struct rig rig = {0};
    rig_pattern(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < PIECES; i++) {
        iov[i] = (struct iovec){.iov_base = bytes + 7 * i, .iov_len = 7};
    }
    while (rig_next(&rig)) {
        expect_eq(weir_transport_writelines(rig.t, iov, PIECES), 0);

        expect_eq(rig_pending(&rig), sizeof(bytes));
        rig_peer_read(&rig, sizeof(bytes));
    }
}

/* ---- write by reference ---- */

UNIT(write_matrix, open_and_empty__write_ref_leaves_at_the_end_of_the_turn)
{
    open_and_empty(write_by_reference);
}

UNIT(write_matrix, open_and_pending__write_ref_is_appended)
{
    open_and_pending(write_by_reference);
}

UNIT(write_matrix, after_write_eof__write_ref_is_refused)
{
    after_write_eof(write_by_reference);
}

UNIT(write_matrix, closing_and_empty__write_ref_is_refused)
{
    closing_and_empty(write_by_reference);
}

UNIT(write_matrix, closing_and_pending__write_ref_is_refused)
{
    closing_and_pending(write_by_reference);
}

UNIT(write_matrix, after_an_error__write_ref_says_that_it_is_broken)
{
    after_an_error(write_by_reference);
}

UNIT(write_matrix, after_the_loss__write_ref_is_refused)
{
    after_the_loss(write_by_reference);
}

UNIT(write_matrix, nothing__write_ref_releases_at_once)
{
    nothing(write_by_reference);
}

/* ---- the exception from "closing and pending" ---- */

static void write_once(struct rig *rig)
{
    if (rig->step == 0) {
        rig->step = 1;
        expect_eq(rig_write(rig, 3000), 0);
    }
}

PAIRS(write_matrix, closing_and_pending__write_inside_resume_writing_is_sent,
      rig, .small_buffers = true, .hooks = {.resume_writing = write_once})
{
    enter_closing_pending(rig);
    const uint64_t before = rig->written;

    expect_eq(rig_peer_read_end(rig), 0);
    rig_wait_lost(rig);

    expect_eq(rig->step, 1);
    expect_eq(rig->written, before + 3000);
    expect_eq(rig->peer_received, rig->written);
    expect_eq(rig->lost_err, 0);
    expect_events(rig, "made pause resume lost");
}

PAIRS(write_matrix, the_order_of_all_kinds_of_writes_is_kept, rig,
      .small_buffers = true)
{
    for (int i = 0; i < 40; i++) {
        const size_t len = (size_t)(i * 977 % 9000);
        writer *const column = i % 3 == 0   ? rig_write
                               : i % 3 == 1 ? write_lines
                                            : write_by_reference;
        expect_eq(column(rig, len), 0);
        if (i % 7 == 0) {
            rig_turn(rig);
        }
    }

    rig_peer_read(rig, rig->written);

    rig_turns(rig, 2);
    expect_eq(rig_pending(rig), 0);
}
