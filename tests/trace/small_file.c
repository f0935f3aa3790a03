/*
 * A small file whose send ends in the same iteration as its connection or the
 * file itself.
 *
 * The receive was submitted before the send and completes before it: the
 * protocol then has no memory for bytes, or cancels the file. Or the send
 * releases what was written before the file, and that callback ends it.
 */
#include "subject.h"
#include "tests/bind.h"
#include "uring/sys.h"

#include <weir/embed.h>
#include <weir/sendfile.h>

#define FILE_BYTES 4000u
#define FIT_BYTES  100u /* of it */

static int sock;
static int file;
static bool cancels;
static bool is_broken; /* get_buffer has no memory any more */
/* The head is written by reference, and its release does this. */
static int (*at_release)(weir_transport *t);
static size_t head_bytes;
static char little[8];

static int lend_little(void *user, weir_transport *t, size_t hint,
                       void **ret_buf, size_t *ret_size)
{
    if (!is_broken) {
        *ret_buf = little;
        *ret_size = sizeof(little);
    }
    return 0;
}

static void write_bytes(size_t len)
{
    static const char bytes[1u << 20];
    expect_lt(len, sizeof(bytes));
    expect_eq(weir_transport_write(transport, bytes, len), 0);
}

static void released(void *arg)
{
    expect_eq(at_release(transport), 0);
}

static void send_file(void)
{
    static const char head[20000];
    expect_leq(head_bytes, sizeof(head));
    if (at_release) {
        expect_ok(weir_transport_write_ref(transport, head, head_bytes,
                                           released, NULL));
    } else if (head_bytes > 0) {
        write_bytes(head_bytes);
    }
    expect_ok(weir_transport_sendfile(transport, file, 0, FILE_BYTES, note_told,
                                      NULL));
}

static int filled(void *user, weir_transport *t, size_t len)
{
    if (len == sizeof(little)) {
        send_file();
    } else if (cancels) {
        expect_eq(weir_transport_cancel_sendfile(t), 0);
    } else if (!at_release) {
        is_broken = true;
    }
    return 0;
}

static void returned(void *user, void *buf)
{
    expect_eq(buf, (void *)little);
}

static void lost(void *user, weir_transport *t, int err)
{
    expect_eq(told_count, 1);
    note_lost(user, t, err);
}

static CALLBACKS(lender, BUFFERED, .connection_made = note_made,
                 .connection_lost = lost, .get_buffer = lend_little,
                 .buffer_updated = filled, .release_buffer = returned);

static void start(bool is_cancelled, int (*release)(weir_transport *t))
{
    cancels = is_cancelled;
    at_release = release;
    is_broken = false;
    sock =
        subject_start(&(struct fake_options){.seed = 1}, NULL, &lender, NULL);
    file = fake_disk_open(FILE_BYTES, fill_file, NULL);
}

static void stop(int alive)
{
    wr_sys_close(file);
    subject_stop(alive);
}

/* A head and the file, for which the kernel has @room bytes. */
static void send_into(size_t room, size_t head)
{
    static const char bytes[sizeof(little) + 1];
    write_bytes(fake_room_bytes(sock) - room);
    clock_run_for(loop, MS);
    expect_eq(fake_room_bytes(sock), room);
    head_bytes = head;
    expect_eq(fake_peer_write(peer, bytes, sizeof(bytes)), sizeof(bytes));
    clock_run_for(loop, MS);
    expect_eq(told_count, 1);
}

/* It reads all that comes: @bytes. */
static void expect_peer_reads(uint64_t bytes)
{
    static char buf[1u << 20];
    uint64_t all = 0;
    for (int i = 0; i < 10; i++) {
        const ssize_t got = fake_peer_read(peer, buf, sizeof(buf));
        all += got > 0 ? (uint64_t)got : 0;
        clock_run_for(loop, MS);
    }
    expect_eq(all, bytes);
}

UNIT(small_file, what_a_send_took_before_the_loss_was_sent)
{
    start(false, NULL);
    send_into(FIT_BYTES + 10, 10);

    expect_told(WEIR_ENOBUFFER, FIT_BYTES);
    expect_lost(WEIR_ENOBUFFER);
    stop(0);
}

UNIT(small_file, is_sent_if_a_send_took_all_of_it_before_the_loss)
{
    start(false, NULL);
    send_into(FILE_BYTES + 10, 10);

    expect_told(0, FILE_BYTES);
    expect_eq(lost_err, WEIR_ENOBUFFER);
    stop(0);
}

/* A socket without a queue waits for no room. */
UNIT(small_file, that_found_no_room_leaves_nothing_when_it_is_cancelled)
{
    start(true, NULL);
    send_into(0, 0);
    expect_told(-ECANCELED, 0);

    write_bytes(10);
    expect_peer_reads(fake_taken_bytes(sock) + 10);

    expect_eq(lost_count, 0);
    stop(1);
}

UNIT(small_file, that_found_no_room_leaves_the_head_when_it_is_cancelled)
{
    start(true, NULL);
    send_into(0, 10);
    expect_told(-ECANCELED, 0);

    expect_peer_reads(fake_taken_bytes(sock) + 10);

    expect_eq(lost_count, 0);
    stop(1);
}

/* The kernel took the head and a part of the file, and the head is released. */
UNIT(small_file, may_be_cancelled_by_the_release_of_what_was_before_it)
{
    start(false, weir_transport_cancel_sendfile);
    send_into(20000 + FIT_BYTES, 20000);
    expect_told(-ECANCELED, FIT_BYTES);

    write_bytes(10);
    expect_peer_reads(fake_taken_bytes(sock) + 10);

    expect_eq(lost_count, 0);
    stop(1);
}

UNIT(small_file, that_is_cancelled_counts_once_if_the_release_aborts)
{
    start(true, weir_transport_abort);
    send_into(20000 + FIT_BYTES, 20000);

    expect_told(-ECANCELED, FIT_BYTES);
    expect_lost(0);
    stop(0);
}

/* The turn in which all of it was sent is that in which it ends. */
UNIT(small_file, is_told_without_a_turn_more)
{
    int turns = 0;
    start(false, NULL);
    head_bytes = 0;
    send_file();
    while (told_count == 0) {
        expect_eq(weir_loop_run_once(loop), 0);
        turns++;
    }

    expect_eq(turns, 2, "it is sent, and told");
    expect_told(0, FILE_BYTES);
    stop(1);
}
