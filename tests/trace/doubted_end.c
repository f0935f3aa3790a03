/*
 * A receive that returns 0 while a send is in flight.
 *
 * The kernel reports an error once. If a send has taken the error of a reset,
 * and its completion comes after the receive's, the receive returns 0 as at an
 * end of the stream.
 */
#include "subject.h"
#include "uring/sys.h"

#include <weir/embed.h>
#include <weir/sendfile.h>

#define MUCH (256u << 10)

static bool closes;     /* after the write */
static bool is_written; /* and has not left */

/* Before an enter: the receive brings 0 in it, and the send its error later. */
static void reset_the_send(void *arg)
{
    if (is_written) {
        is_written = false;
        fake_peer_reset_send(peer);
    }
}

static void start(const struct weir_protocol *with)
{
    subject_start(&(struct fake_options){.seed = 1, .entered = reset_the_send},
                  NULL, with, NULL);
}

static void write_now(void *arg)
{
    static uint8_t bytes[MUCH];
    expect_eq(weir_transport_write(transport, bytes, *(size_t *)arg), 0);
    is_written = true;
    if (closes) {
        expect_eq(weir_transport_close(transport), 0);
    }
}

/* Bytes leave at the end of a turn, with the enter that meets the reset. */
static void write_into_a_reset(size_t len)
{
    static size_t count;
    count = len;
    expect_eq(weir_loop_call_soon(loop, write_now, &count, NULL), 0);
}

static void expect_reset(void)
{
    clock_run_for(loop, MS);
    expect_eq(eof_count, 0);
    expect_lost(-ECONNRESET);
}

UNIT(doubted_end, a_reset_that_a_send_was_told_is_no_end_of_stream)
{
    start(&noting);
    write_into_a_reset(5);
    expect_reset();
    subject_stop(0);
}

UNIT(doubted_end, nor_when_the_send_has_several_pieces)
{
    start(&noting);
    write_into_a_reset(MUCH);
    expect_reset();
    subject_stop(0);
}

UNIT(doubted_end, nor_in_memory_that_a_protocol_has_lent)
{
    start(&lending);
    write_into_a_reset(5);
    expect_reset();
    subject_stop(0);
}

UNIT(doubted_end, nor_while_a_close_sends)
{
    start(&noting);
    closes = true;
    write_into_a_reset(5);
    expect_reset();
    subject_stop(0);
}

/* A turn that has something to run does not wait. */
static void nothing(void *arg)
{
}

static void file_ended(void *arg, weir_transport *t, int err, uint64_t sent)
{
    expect_eq(err, -ECANCELED);
    expect_eq(sent, 0);
}

/* The ring has read a part. Its send is in the kernel when the file is
 * cancelled, which is too late for it. */
UNIT(doubted_end, nor_when_the_send_is_that_of_a_cancelled_file)
{
    start(&noting);
    const int file = fake_disk_open(MUCH, fill_file, NULL);
    fake_set_fault(FAKE_COLD, 1000);
    expect_ok(
        weir_transport_sendfile(transport, file, 0, MUCH, file_ended, NULL));
    while (fake_stats()->disk_reads == 0) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
    fake_set_fault(FAKE_DELAY, 1000);
    while (fake_stats()->sends == 0) {
        expect_eq(weir_loop_call_soon(loop, nothing, NULL, NULL), 0);
        expect_eq(weir_loop_run_once(loop), 0);
    }
    fake_set_fault(FAKE_CANCEL_RACE, 1000);
    fake_peer_reset_send(peer);
    expect_eq(weir_transport_cancel_sendfile(transport), 0);
    expect_reset();
    expect_eq(wr_sys_close(file), 0);
    subject_stop(0);
}

/* The send that it waits for goes well. */
UNIT(doubted_end, an_end_during_a_send_is_told_when_the_send_has_ended)
{
    static const uint8_t bytes[MUCH];
    start(&noting);
    keeps_open = true;
    fake_set_fault(FAKE_DELAY, 500);
    for (int i = 0; i < 100 && eof_count == 0; i++) {
        expect_eq(weir_transport_write(transport, bytes, 100), 0);
        if (i == 3) {
            fake_peer_shutdown(peer);
        }
        clock_run_for(loop, MS);
    }
    clock_run_for(loop, 100 * MS);

    expect_eq(eof_count, 1);
    expect_eq(lost_count, 0);
    expect_eq(weir_transport_get_error(transport), 0);
    expect_eq(weir_transport_write(transport, bytes, 100), 0);
    subject_stop(1);
}
