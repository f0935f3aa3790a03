/*
 * A file whose connection breaks in the iteration in which its read completes.
 *
 * The peer has bytes for a protocol that has no memory for them, and the ring
 * has read a part of the file, all in one iteration.
 */
#include "subject.h"
#include "tests/bind.h"
#include "uring/sys.h"

#include <weir/sendfile.h>

#define FILE_BYTES 1000u

static int file;
static int refusal; /* of get_buffer, the second time; 0: it gives nothing */
static uint32_t lent_count;

static void made(void *user, weir_transport *t)
{
    expect_ok(weir_transport_sendfile(t, file, 0, FILE_BYTES, note_told, NULL));
}

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    if (lent_count++ > 0) {
        return refusal;
    }
    return lend(user, t, hint, ret_buf, ret_size);
}

static int updated(void *user, weir_transport *t, size_t len)
{
    expect_eq(len, 1);
    return 0;
}

static void lost(void *user, weir_transport *t, int err)
{
    expect_eq(told_count, 1);
    expect_eq(told_sent, 0);
    note_lost(user, t, err);
}

static CALLBACKS(protocol, BUFFERED, .connection_made = made,
                 .get_buffer = get_buffer, .buffer_updated = updated,
                 .release_buffer = take_back, .connection_lost = lost);

static bool is_lost(void *arg)
{
    return lost_count > 0;
}

/* None of it was sent: an end of the stream would pass for an empty file. */
static void expect_reset(int second, int err)
{
    char byte;
    refusal = second;
    subject_open(&(struct fake_options){.seed = 1}, NULL, &protocol, NULL);
    fake_set_fault(FAKE_COLD, 1000); /* the ring reads it */
    file = fake_disk_open(FILE_BYTES, fill_file, NULL);
    expect_eq(fake_peer_write(peer, "x", 1), 1);

    expect_eq(weir_loop_run_until(loop, is_lost, NULL), 0);

    expect_eq(told_err, err);
    expect_eq(lost_err, err);
    expect_eq(fake_peer_read(peer, &byte, 1), -ECONNRESET);
    wr_sys_close(file);
    subject_stop(0);
}

UNIT(file_loss, of_a_part_that_was_read_resets_the_connection)
{
    expect_reset(0, WEIR_ENOBUFFER);
}

UNIT(file_loss, by_the_number_of_a_cancelled_file_resets_it_too)
{
    expect_reset(-ECANCELED, -ECANCELED);
}
