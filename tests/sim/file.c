/*
 * The simulation's files: parts of weir's own stream that are sent with
 * weir_transport_sendfile().
 *
 * A file has the next bytes of the stream, from any offset. It may have more or
 * fewer bytes than requested, and change its size meanwhile; sometimes it is
 * cancelled. The reported count is compared with what the machine took. After
 * any end, a connection that is still open continues with the next byte.
 */
#include "tests/sim/sim.h"

#include "lib/transport/sock/sock_impl.h"
#include "weir/sendfile.h"

#include <errno.h>

/* The longest time from a cancellation to the end that follows it. */
#define CANCEL_NS (200 * SIM_MS)

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    const struct sim_conn *conn = arg;
    sim_fill(conn, true, conn->file.at + (offset - conn->file.offset), buf,
             len);
}

/* Bytes of a file of @size that its part takes. */
static uint64_t available(const struct sim_file *file, uint64_t size)
{
    const uint64_t behind = size > file->offset ? size - file->offset : 0;
    return behind < file->count ? behind : file->count;
}

static void close_file(int fd)
{
    if (wr_sys_close(fd) != 0) {
        fake_fail("a file cannot be closed");
    }
}

static bool may_end_with(const struct sim_conn *conn, int err)
{
    const int lost_err = weir_transport_get_error(conn->t);
    switch (err) {
    case -ECANCELED:
        return conn->file.cancelled_ns != 0;
    case -EIO:
        return sim.disk_fails;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    case -ECONNABORTED:
        return conn->abort_asked && lost_err == 0;
    default:
        return err < 0 && err == lost_err;
    }
}

static void check_count(const struct sim_conn *conn, int err, uint64_t sent)
{
    const struct sim_file *file = &conn->file;
    uint64_t taken = fake_taken_bytes(weir_transport_get_socket(conn->t));
    uint64_t gone = taken > file->at ? taken - file->at : 0;
    bool fits = err == 0 ? sent >= file->least : sent < file->count;
    if (sent != gone || sent > file->most || !fits) {
        fake_fail("connection %u: a file ended with %d after %llu bytes; "
                  "%llu of %llu to %llu were taken",
                  conn->id, err, (unsigned long long)sent,
                  (unsigned long long)gone, (unsigned long long)file->least,
                  (unsigned long long)file->most);
    }
}

static bool is_lost(const struct sim_conn *conn)
{
    return conn->abort_asked || weir_transport_get_error(conn->t) != 0;
}

/* A FIN, and no room, ended the poll that a file waited with when it was
 * cancelled. As long as the socket has seen none of them (fin_seen) each such
 * poll was one of these. */
static void count_fin_poll(struct sim_conn *conn, int err)
{
    const uint64_t polls = fake_fin_polls(weir_transport_get_socket(conn->t));

    if (err == -ECANCELED && conn->file.waited && polls > conn->fin_polls) {
        sim.result.counts[SIM_FILES_FIN_POLLS]++;
        conn->fin_polls = polls;
    }
}

static void count_end(const struct sim_conn *conn, int err, uint64_t sent)
{
    bool is_whole = err == 0 && sent == conn->file.count;
    sim.result.counts[SIM_FILES_WHOLE] += is_whole;
    sim.result.counts[SIM_FILES_ENDED] += err == 0 && !is_whole;
    sim.result.counts[SIM_FILES_CANCELLED] += err == -ECANCELED && sent > 0;
    sim.result.counts[SIM_FILES_FAILED] += err == -EIO && !is_lost(conn);
    sim.result.counts[SIM_FILES_LOST] += err < 0 && is_lost(conn);
    sim.result.counts[SIM_FILES_TORN] +=
        conn->close_asked && !conn->abort_asked && err < 0 &&
        err == weir_transport_get_error(conn->t);
    sim.result.counts[SIM_FILES_CLOSING] +=
        is_whole && sent > 0 && (conn->close_asked || conn->write_ended);
}

/* No error of a file and no cancellation harms the connection. */
static void check_usable(struct sim_conn *conn)
{
    if (conn->write_ended || conn->close_asked || conn->abort_asked ||
        conn->callback_err < 0 || weir_transport_get_error(conn->t) != 0) {
        return;
    }
    int err = weir_transport_write(conn->t, "", 0);
    if (err != 0 || weir_transport_take_write_error(conn->t) != 0) {
        fake_fail("connection %u: after a file a write gave %d", conn->id, err);
    }
}

static void file_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct sim_conn *conn = arg;
    sim_begin(conn, t, "the end of a file");
    if (conn->file.fd == 0) {
        fake_fail("connection %u: the end of no file", conn->id);
    }
    if (err != 0 && !may_end_with(conn, err)) {
        fake_fail("connection %u: its file ended with %d", conn->id, err);
    }
    fake_trace("connection %u: file ended with %d after %llu bytes", conn->id,
               err, (unsigned long long)sent);
    check_count(conn, err, sent);
    count_end(conn, err, sent);
    count_fin_poll(conn, err);
    conn->written += sent;
    conn->file_err = conn->close_asked ? err : 0;
    /* One that was cancelled before is no part of what the loss tears. Unix
     * sockets know no reset, which would tell the peer of it. */
    conn->file_torn =
        err < 0 && err != -ECANCELED && is_lost(conn) && !conn->is_unix;
    close_file(conn->file.fd);
    conn->file = (struct sim_file){.fd = 0};
    check_usable(conn);
    if (!weir_transport_is_closing(t) && !conn->write_ended &&
        fake_chance(700)) {
        sim_write_own(conn);
    }
    sim_end();
}

/* A part and a file of *@ret_size for it, with at most @left bytes. */
static void plan_file(struct sim_file *file, uint64_t left, uint64_t *ret_size)
{
    uint64_t bytes = fake_chance(450) ? left : sim_size() * fake_random(5);
    bytes = bytes < left ? bytes : left;
    file->offset = fake_chance(300) ? 0 : fake_random(UINT64_C(1) << 20);
    file->offset <<= fake_chance(100) ? 30 : 0;
    file->count = bytes;
    *ret_size = file->offset + bytes;
    switch (fake_random(6)) {
    case 0: /* it has more */
        *ret_size += fake_random(100000);
        break;
    case 1: /* it has fewer */
        file->count += 1 + fake_random(100000);
        break;
    case 2: /* its end may be before the first byte */
        *ret_size = fake_chance(500) ? *ret_size : fake_random(*ret_size + 1);
        file->count = WEIR_TO_END;
        break;
    default:
        break;
    }
}

void sim_file_send(struct sim_conn *conn)
{
    struct sim_file file = {.at = conn->written};
    uint64_t size = 0;
    if (conn->file.fd != 0 || conn->mode != SIM_SOURCE) {
        return;
    }
    plan_file(&file, conn->plan_written - conn->written, &size);
    file.fd = fake_disk_open(size, fill, conn);
    uint64_t depth = weir_transport_get_write_buffer_size(conn->t);
    conn->file = file; /* it may be read at once */
    sim_enter_api(false);
    int err = weir_transport_sendfile(conn->t, file.fd, file.offset, file.count,
                                      file_done, conn);
    sim_leave_api();
    fake_trace("connection %u: file fd=%d of %llu bytes, %llu from %llu: %d",
               conn->id, file.fd, (unsigned long long)size,
               (unsigned long long)file.count, (unsigned long long)file.offset,
               err);
    if (err < 0) {
        if (!sim_may_refuse(conn, err, 0, depth)) {
            fake_fail("connection %u: sendfile gave %d", conn->id, err);
        }
        close_file(file.fd);
        conn->file = (struct sim_file){.fd = 0};
        return;
    }
    if (file.count == WEIR_TO_END) {
        file.count =
            size > file.offset ? size - file.offset : INT64_MAX - file.offset;
    }
    file.least = available(&file, size);
    file.most = file.least;
    conn->file = file;
}

/* Another program writes to the file, or cuts it. */
static void resize(struct sim_conn *conn)
{
    struct sim_file *file = &conn->file;
    uint64_t size =
        file->offset + fake_random(conn->plan_written - file->at + 1);
    uint64_t now = available(file, size);
    fake_disk_truncate(file->fd, size);
    fake_trace("connection %u: file has %llu bytes now", conn->id,
               (unsigned long long)size);
    file->least = now < file->least ? now : file->least;
    file->most = now > file->most ? now : file->most;
}

/* The peer ends its stream at once. */
static void end_peer(struct sim_conn *conn)
{
    if (conn->peer && conn->peer_end == SIM_PEER_FIN && !conn->fin_sent) {
        conn->plan_sent = conn->sent;
        fake_peer_shutdown(conn->peer);
        conn->fin_sent = true;
    }
}

static void cancel(struct sim_conn *conn)
{
    const struct wr_sock *s = wr_sock_of(conn->t);
    sim_enter_api(false);
    int err = weir_transport_cancel_sendfile(conn->t);
    sim_leave_api();
    if (err != 0) {
        fake_fail("connection %u: cancel_sendfile gave %d", conn->id, err);
    }
    fake_trace("connection %u: cancel of its file", conn->id);
    if (conn->file.fd != 0 && conn->file.cancelled_ns == 0) {
        conn->file.cancelled_ns = fake_now();
        conn->file.waited = s->c.outbox.is_stalled && !s->fin_seen;
        if (fake_chance(300)) {
            end_peer(conn);
        }
    }
}

/* Nothing but the FIN behind the last bytes ends the wait for room, and those
 * bytes make the program cancel before the loop has seen to that. */
void sim_file_end_peer(struct sim_conn *conn)
{
    if (conn->file.fd != 0 && fake_chance(300)) {
        end_peer(conn);
    }
}

void sim_file_note_bytes(struct sim_conn *conn)
{
    if (conn->file.fd != 0 && conn->fin_sent && fake_chance(500)) {
        conn->stalled_to_ns = fake_now() + 2 * CANCEL_NS; /* no room comes */
        cancel(conn);
    }
}

void sim_file_disturb(struct sim_conn *conn)
{
    if (conn->file.fd == 0) {
        cancel(conn); /* does nothing */
        return;
    }
    switch (fake_random(4)) {
    case 0:
        cancel(conn);
        break;
    case 1:
        resize(conn);
        break;
    default:
        sim_write_own(conn); /* is refused */
        break;
    }
}

void sim_file_beat(const struct sim_conn *conn)
{
    uint64_t cancelled_ns = conn->file.cancelled_ns;
    if (cancelled_ns != 0 && fake_now() > cancelled_ns + CANCEL_NS) {
        fake_fail("connection %u: a cancelled file goes on", conn->id);
    }
}
