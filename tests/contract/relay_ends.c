/*
 * Relays of which one side ends badly, for every pair of transports.
 *
 * The peer of the first side sends, waits until its bytes are acknowledged, and
 * ends badly: with a reset, without a close_notify, or with bytes that are not
 * TLS. The peer of the second side reads all but the last bytes at once, then
 * reads slowly or not at all. It gets the acknowledged bytes, and then the end
 * that its kind of connection has; a peer that does not read gets what its
 * kernel has. Each cell of the matrix is printed to standard error with its
 * bytes and its end, and impossible cells with the reason.
 */
#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <weir/connect.h>
#include <weir/inspect.h>
#include <weir/pair.h>
#include <weir/relay.h>
#include <weir/tls.h>

enum { KIB = 1024, PIECE = 4 * KIB, NARROW = 16 * KIB };
/* Milliseconds without progress: with PATIENCE the queues are full, with GUARD
 * the test fails. */
enum { PATIENCE = 50, GUARD = 60 * 1000 };
/* Bytes that are sent: more than a second side accepts whose peer does not
 * read. Bytes over TLS must fit into all queues together, because a part of a
 * record is not counted. */
enum { COPIED = 160 * KIB, SEALED = 112 * KIB, SPLICED = 1024 * KIB };
/* Bytes at the end that a fast peer has not read when the other one ends: more
 * than its kernel accepts. */
enum { UNREAD = 96 * KIB, UNREAD_SPLICED = 640 * KIB };

enum kind { TCP, UNIX, TLS, MEMORY, PIPE, KINDS };
enum how { RESET, CUT, BAD, HOWS };
enum pace { FAST, SLOW, STOPPED, PACES };

static const char *const kind_names[KINDS] = {"tcp", "unix", "tls", "memory",
                                              "pipe"};
static const char *const how_names[HOWS] = {"reset", "no close_notify",
                                            "read error"};
static const char *const pace_names[PACES] = {"fast", "slow", "stopped"};

struct cell {
    enum kind from;
    enum kind to;
    enum how how;
    enum pace pace;
    bool splices;
};

struct end {
    enum kind kind;
    weir_transport *near; /* the side, a reference */
    weir_transport *far;  /* the peer of TLS and in-memory sides, a reference */
    int fd;               /* the peer of other sides; -1 if closed */
    uint64_t sent;
    uint64_t received;
    bool has_ended;
    int end_err;
};

static weir_loop *loop;
static struct end from;
static struct end to;
static struct weir_relay_record record;
static int done_count;
static uint64_t spliced_bytes;
static int cut_count; /* cells in which acknowledged bytes were lost */
static bool has_bulk;

static char cell_name[128] = "no cell";

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT cell_name, ": "

static void near_made(void *user, weir_transport *t)
{
    ((struct end *)user)->near = weir_transport_ref(t);
}

static CALLBACKS(near_protocol, STREAM, .connection_made = near_made);

static void far_made(void *user, weir_transport *t)
{
    ((struct end *)user)->far = weir_transport_ref(t);
}

static void note_end(struct end *end, int err)
{
    if (!end->has_ended) {
        end->has_ended = true;
        end->end_err = err;
    }
}

static int far_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    struct end *end = user;

    cr_assert(rig_is_pattern(buf->data, end->received, buf->len));
    end->received += buf->len;
    return 0;
}

static int far_ended(void *user, weir_transport *t)
{
    note_end(user, 0);
    return 1;
}

static void far_lost(void *user, weir_transport *t, int err)
{
    note_end(user, err);
}

static CALLBACKS(far_protocol, STREAM, .connection_made = far_made,
                 .data_received = far_received, .eof_received = far_ended,
                 .connection_lost = far_lost);

static void adopt(int fd, const struct weir_protocol *protocol, struct end *end,
                  bool is_tls, bool is_server)
{
    const struct weir_factory factory = bind_to(protocol, end);
    const struct weir_tls_settings tls = {
        .size = sizeof(tls),
        .context = is_tls ? tls_context_of(is_server, 13) : NULL,
        .server_hostname = is_server ? NULL : "localhost"};
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .tls = is_tls ? &tls : NULL};

    expect_ok(weir_create_connection_at(loop, &factory, weir_endpoint_fd(fd),
                                        &options, NULL, NULL, NULL));
    weir_tls_context_unref(tls.context);
}

static void open_end(struct end *end, enum kind kind, bool is_narrow)
{
    int fds[2];

    *end = (struct end){.kind = kind, .fd = -1};
    if (kind == MEMORY) {
        const struct weir_protocol_binding bindings[2] = {
            {.protocol = &near_protocol, .user = end},
            {.protocol = &far_protocol, .user = end}};

        expect_eq(weir_transport_pair(loop, bindings, NULL, NULL), 0);
        return;
    }
    if (kind == UNIX) {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    } else {
        tcp_pair(fds, 0, is_narrow ? NARROW : 0);
    }
    if (is_narrow) {
        set_socket_option(fds[0], SOL_SOCKET, SO_SNDBUF, NARROW);
    }
    adopt(fds[0], &near_protocol, end, kind == TLS, true);
    if (kind == TLS) {
        adopt(fds[1], &far_protocol, end, true, false);
    } else {
        end->fd = fds[1];
    }
}

static bool is_open(const struct end *end)
{
    return end->near && (end->fd >= 0 || end->far);
}

static void close_end(struct end *end)
{
    if (end->fd >= 0) {
        close(end->fd);
    }
    if (end->far) {
        weir_transport_abort(end->far);
    }
    weir_transport_unref(end->near);
    weir_transport_unref(end->far);
}

static void turn(void)
{
    for (int i = 0; i < 3; i++) {
        weir_loop_stop(loop);
        expect_eq(weir_loop_run(loop), 0);
    }
}

static bool send_piece(void)
{
    static uint8_t bytes[PIECE];

    rig_pattern(bytes, from.sent, sizeof(bytes));
    if (from.far) {
        if (weir_transport_get_write_buffer_size(from.far) > 0) {
            return false;
        }
        expect_eq(weir_transport_write(from.far, bytes, sizeof(bytes)), 0);
        from.sent += sizeof(bytes);
        return true;
    }
    const ssize_t ret =
        send(from.fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
    from.sent += ret > 0 ? (uint64_t)ret : 0;
    return ret > 0;
}

static uint64_t count_unacked(void)
{
    int unacked = 0;

    if (from.kind == UNIX) {
        return 0; /* they are in the other end's queue */
    }
    if (from.kind != MEMORY) {
        const int fd = from.far ? weir_transport_get_socket(from.far) : from.fd;
        expect_eq(ioctl(fd, SIOCOUTQ, &unacked), 0);
    }
    return (uint64_t)unacked +
           (from.far ? weir_transport_get_write_buffer_size(from.far) : 0);
}

static void read_some(uint64_t most);

/* Sends @len bytes, or as many as all queues accept. Returns how many are
 * acknowledged. Over TLS all fit; a kernel may acknowledge 200 ms late. */
static uint64_t send_all(uint64_t len, bool is_read)
{
    const int patience = from.kind == TLS ? GUARD : PATIENCE;

    for (int idle = 0; idle < patience;) {
        const uint64_t before = from.sent + to.received - count_unacked();
        while (from.sent < len && send_piece()) {
        }
        turn();
        if (is_read) {
            read_some(UINT64_MAX);
        }
        if (from.sent == len && count_unacked() == 0) {
            break;
        }
        if (from.sent + to.received - count_unacked() == before) {
            poll(NULL, 0, 1);
            idle++;
        } else {
            idle = 0;
        }
    }
    if (from.kind == TLS) {
        expect_eq(count_unacked(), 0);
    }
    return from.sent - count_unacked();
}

static void end_badly(enum how how)
{
    static const uint8_t no_tls[] = "this is no record of TLS";
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (how == RESET && from.far) {
        weir_transport_abort(from.far);
    } else if (how == RESET) { /* a Unix peer has unread bytes */
        setsockopt(from.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(from.fd);
        from.fd = -1;
    } else if (how == CUT) {
        expect_eq(shutdown(weir_transport_get_socket(from.far), SHUT_WR), 0);
    } else {
        expect_eq(send(weir_transport_get_socket(from.far), no_tls,
                       sizeof(no_tls), MSG_NOSIGNAL),
                  sizeof(no_tls));
    }
}

/* Gives the relay time to see the end. A relay that reads from the first side
 * sees it before its last bytes are sent; a relay that waits for the second
 * side cannot see it. */
static void let_it_see_the_end(void)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (weir_transport_get_end(from.near) != WEIR_END_NONE) {
            break;
        }
        turn();
        poll(NULL, 0, 1);
    }
}

static void read_descriptor(uint64_t most)
{
    static uint8_t bytes[64 * KIB];

    while (most > 0 && !to.has_ended) {
        const size_t len = most < sizeof(bytes) ? (size_t)most : sizeof(bytes);
        const ssize_t ret = recv(to.fd, bytes, len, MSG_DONTWAIT);
        if (ret < 0 && errno == EAGAIN) {
            return;
        }
        if (ret <= 0) {
            note_end(&to, ret < 0 ? -errno : 0);
            return;
        }
        cr_assert(rig_is_pattern(bytes, to.received, (size_t)ret));
        to.received += (uint64_t)ret;
        most -= (uint64_t)ret;
    }
}

static void read_some(uint64_t most)
{
    if (!to.far) {
        read_descriptor(most);
        return;
    }
    weir_transport_resume_reading(to.far);
    turn();
    if (most < UINT64_MAX) {
        weir_transport_pause_reading(to.far);
        turn();
    }
}

static bool is_plain(enum kind kind)
{
    return kind == TCP || kind == UNIX;
}

static const char *find_reason(const struct cell *cell)
{
    if (cell->from == PIPE || cell->to == PIPE) {
        return "a pipe has one direction, and weir_relay() refuses it";
    }
    if (cell->how == CUT && cell->from != TLS) {
        return "only TLS has a close_notify";
    }
    if (cell->how == BAD && cell->from == MEMORY) {
        return "nothing can fail between two ends in memory";
    }
    if (cell->how == BAD && cell->from != TLS) {
        return "the kernel's other errors need a broken network or a lack of "
               "memory; relay_drain.c plays them";
    }
    if (cell->splices && !(is_plain(cell->from) && is_plain(cell->to))) {
        return "bytes are spliced between plain sockets alone";
    }
    return NULL;
}

static void done(void *arg, int err, const struct weir_relay_record *ret)
{
    expect_eq(ret->err, err);
    done_count++;
    record = *ret;
}

static void begin(const struct cell *cell)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .splice = cell->splices};

    open_end(&from, cell->from, false);
    open_end(&to, cell->to, !cell->splices);
    RUN_UNTIL(loop, is_open(&from) && is_open(&to));
    if (from.kind == UNIX) { /* for the reset */
        expect_eq(weir_transport_write(from.near, "unread", 6), 0);
    }
    if (to.far && cell->pace != FAST) {
        weir_transport_pause_reading(to.far);
    }
    done_count = 0;
    expect_eq(weir_relay(from.near, to.near, &options, done, NULL, NULL), 0);
}

static void expect_end(const struct cell *cell, uint64_t acked)
{
    const bool is_cut = cell->pace != STOPPED && to.received < acked;

    cut_count += is_cut;
    fprintf(stderr, "%s: acknowledged %llu, arrived %llu, %s%s\n", cell_name,
            (unsigned long long)acked, (unsigned long long)to.received,
            to.end_err == 0 ? "end of stream" : weir_err_name(to.end_err),
            is_cut ? ", CUT" : "");
    expect_leq(to.received, from.sent); /* an acknowledgement may be late */
    if (to.kind == UNIX) {
        expect_eq(to.end_err, 0); /* it has no resets */
    } else {
        expect_eq(to.end_err, -ECONNRESET);
    }
    expect_lt(record.err, 0);
    if (cell->pace != STOPPED) { /* its stall may come before the end is read */
        expect_eq(record.ended_by, WEIR_RELAY_A);
        expect_eq(record.err == WEIR_ETLSTRUNCATED, cell->how == CUT);
    }
    expect_geq(record.a_bytes, to.received);
}

static uint64_t count_bytes(const struct cell *cell)
{
    return cell->splices ? SPLICED : cell->from == TLS ? SEALED : COPIED;
}

static void play(const struct cell *cell)
{
    int waiting = 0;

    expect_eq(weir_loop_new(NULL, &loop), 0);
    begin(cell);
    if (cell->pace == FAST) {
        send_all(count_bytes(cell) - (cell->splices ? UNREAD_SPLICED : UNREAD),
                 true);
        if (to.far) {
            weir_transport_pause_reading(to.far);
        }
    }
    const uint64_t acked = send_all(count_bytes(cell), false);
    end_badly(cell->how);
    if (cell->pace == FAST) {
        let_it_see_the_end();
    }
    if (cell->pace == STOPPED) {
        const struct weir_timeouts limits = {.size = sizeof(limits),
                                             .write_stall_ns = 100 * RIG_MS};

        expect_eq(weir_transport_set_timeouts(to.near, &limits), 0);
        RUN_UNTIL(loop, done_count > 0);
        if (to.fd >= 0) {
            expect_eq(ioctl(to.fd, FIONREAD, &waiting), 0);
        }
    }
    const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;
    const uint64_t most = cell->pace == SLOW ? PIECE : UINT64_MAX;

    while (!to.has_ended) {
        expect_lt(rig_now_ns(), end_ns);
        read_some(most);
        turn();
        poll(NULL, 0, to.has_ended ? 0 : 1);
    }
    RUN_UNTIL(loop, done_count > 0);
    expect_end(cell, acked);
    if (to.fd >= 0 && cell->pace == STOPPED) {
        expect_eq(to.received, waiting);
    }
    /* Without large receive buffers no transfer counts as bulk, and nothing is
     * spliced. */
    char text[4096];

    weir_loop_get_features_text(loop, text, sizeof(text));
    has_bulk = strstr(text, "buf_inc          6.12  yes") != NULL;
    spliced_bytes += record.a_spliced_bytes;
    close_end(&from);
    close_end(&to);
    weir_loop_free(loop);
}

static void play_or_tell(const struct cell *cell)
{
    const char *reason = find_reason(cell);

    snprintf(cell_name, sizeof(cell_name), "%s (%s) to %s, %s, %s",
             kind_names[cell->from], how_names[cell->how], kind_names[cell->to],
             pace_names[cell->pace], cell->splices ? "splice" : "copy");
    if (reason) {
        fprintf(stderr, "%s: none; %s\n", cell_name, reason);
    } else {
        play(cell);
    }
}

static void play_from(enum kind kind)
{
    const int count = KINDS * HOWS * PACES * 2;

    spliced_bytes = 0;
    cut_count = 0;
    for (int i = 0; i < count; i++) {
        const struct cell cell = {
            .from = kind,
            .to = (enum kind)(i % KINDS),
            .how = (enum how)(i / KINDS % HOWS),
            .pace = (enum pace)(i / (KINDS * HOWS) % PACES),
            .splices = i / (KINDS * HOWS * PACES) > 0,
        };
        play_or_tell(&cell);
    }
    expect_eq(cut_count, 0, "of the cells above");
}

UNIT(relay_ends, what_tcp_has_acknowledged_comes_before_its_error)
{
    play_from(TCP);
    expect_eq(spliced_bytes > 0, has_bulk);
}

UNIT(relay_ends, what_a_unix_socket_has_taken_comes_before_its_error)
{
    play_from(UNIX);
}

UNIT(relay_ends, what_tls_has_acknowledged_comes_before_its_error)
{
    play_from(TLS);
}

UNIT(relay_ends, what_memory_has_taken_comes_before_its_error)
{
    play_from(MEMORY);
}
