/*
 * A small file whose send ends in the turn in which its connection or the file
 * itself does.
 *
 * The receive was submitted before the send and completes before it: then the
 * protocol has no memory for more bytes, or cancels the file. Or the send
 * itself releases what was written before the file, and that callback ends it.
 */
#include "adopt.h"
#include "clock.h"
#include "uring/sys.h"

#include <errno.h>

#define MS         UINT64_C(1000000)
#define FILE_BYTES 4000u
#define FIT_BYTES  100u /* of it */

static weir_loop *loop;
static weir_transport *transport;
static struct fake_peer *peer;
static int sock;
static int file;
static bool cancels;
static bool is_broken; /* get_buffer has no memory any more */
/* The head is written by reference, and its release does this. */
static int (*at_release)(weir_transport *t);
static size_t head_bytes;
static int told_count;
static int told_err;
static uint64_t told_sent;
static int lost_count;
static int lost_err;
static char lent[8];

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    memset(buf, 'f', len);
}

static void made(void *user, weir_transport *t)
{
    transport = t;
}

static int lend(void *user, weir_transport *t, size_t hint, void **ret_buf,
                size_t *ret_size)
{
    if (!is_broken) {
        *ret_buf = lent;
        *ret_size = sizeof(lent);
    }
    return 0;
}

static void told(void *arg, weir_transport *t, int err, uint64_t sent)
{
    told_count++;
    told_err = err;
    told_sent = sent;
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
    expect_ok(
        weir_transport_sendfile(transport, file, 0, FILE_BYTES, told, NULL));
}

static int filled(void *user, weir_transport *t, size_t len)
{
    if (len == sizeof(lent)) {
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
    expect_eq(buf, (void *)lent);
}

static void lost(void *user, weir_transport *t, int err)
{
    expect_eq(told_count, 1);
    lost_count++;
    lost_err = err;
}

static const struct weir_protocol lender = {.size = sizeof(lender),
                                            .kind = WEIR_PROTOCOL_BUFFERED,
                                            .connection_made = made,
                                            .connection_lost = lost,
                                            .get_buffer = lend,
                                            .buffer_updated = filled,
                                            .release_buffer = returned};

static void start(bool is_cancelled, int (*release)(weir_transport *t))
{
    told_count = told_err = lost_count = lost_err = 0;
    cancels = is_cancelled;
    at_release = release;
    is_broken = false;
    fake_start(&(struct fake_options){.seed = 1});
    file = fake_disk_open(FILE_BYTES, fill, NULL);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    sock = adopt(loop, &lender, NULL, NULL, &peer);
    clock_run_for(loop, MS);
}

static void stop(int alive)
{
    expect_eq(weir_loop_free(loop), alive);
    fake_peer_close(peer);
    wr_sys_close(file);
    fake_stop();
}

/* A head and the file, for which the kernel has @room bytes. */
static void send_into(size_t room, size_t head)
{
    static const char bytes[sizeof(lent) + 1];
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

    expect_eq(told_err, WEIR_ENOBUFFER);
    expect_eq(told_sent, FIT_BYTES);
    expect_eq(lost_count, 1);
    expect_eq(lost_err, WEIR_ENOBUFFER);
    stop(0);
}

UNIT(small_file, is_sent_if_a_send_took_all_of_it_before_the_loss)
{
    start(false, NULL);
    send_into(FILE_BYTES + 10, 10);

    expect_eq(told_err, 0);
    expect_eq(told_sent, FILE_BYTES);
    expect_eq(lost_err, WEIR_ENOBUFFER);
    stop(0);
}

/* A socket without a queue waits for no room. */
UNIT(small_file, that_found_no_room_leaves_nothing_when_it_is_cancelled)
{
    start(true, NULL);
    send_into(0, 0);
    expect_eq(told_err, -ECANCELED);
    expect_eq(told_sent, 0);

    write_bytes(10);
    expect_peer_reads(fake_taken_bytes(sock) + 10);

    expect_eq(lost_count, 0);
    stop(1);
}

UNIT(small_file, that_found_no_room_leaves_the_head_when_it_is_cancelled)
{
    start(true, NULL);
    send_into(0, 10);
    expect_eq(told_err, -ECANCELED);
    expect_eq(told_sent, 0);

    expect_peer_reads(fake_taken_bytes(sock) + 10);

    expect_eq(lost_count, 0);
    stop(1);
}

/* The kernel took the head and a part of the file, and the head is released. */
UNIT(small_file, may_be_cancelled_by_the_release_of_what_was_before_it)
{
    start(false, weir_transport_cancel_sendfile);
    send_into(20000 + FIT_BYTES, 20000);
    expect_eq(told_err, -ECANCELED);
    expect_eq(told_sent, FIT_BYTES);

    write_bytes(10);
    expect_peer_reads(fake_taken_bytes(sock) + 10);

    expect_eq(lost_count, 0);
    stop(1);
}

UNIT(small_file, that_is_cancelled_counts_once_if_the_release_aborts)
{
    start(true, weir_transport_abort);
    send_into(20000 + FIT_BYTES, 20000);

    expect_eq(told_err, -ECANCELED);
    expect_eq(told_sent, FIT_BYTES);
    expect_eq(lost_count, 1);
    expect_eq(lost_err, 0);
    stop(0);
}
