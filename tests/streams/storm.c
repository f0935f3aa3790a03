/*
 * Random readers and writers of streams, on a machine with faults.
 *
 * The machine sends and receives in short pieces, delays, reorders and
 * interrupts. Handlers read and echo in all ways of the API, with and without
 * timeouts, and the main task cancels them at any moment; peers stall,
 * half-close, close and reset. No byte may be lost, doubled or out of order,
 * whatever has failed; the end comes after the last byte; freeing the loop
 * leaves nothing. WEIR_STREAM_COUNT is the number of seeds (3 000; 1 000 with
 * sanitizers), WEIR_STREAM_SEED runs one. Every fourth seed has the features of
 * the engine on epoll.
 */
#include "tests/fake/fake.h"
#include "tests/streams/storm_bytes.h"
#include "tests/walk.h"

#include <errno.h>
#include <weir/error.h>
#include <weir/stream.h>
#include <weir/task.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

#define CONNS 8
#define PIECE STORM_BYTES_MAX

#ifdef UNIT_HAS_LSAN
#define COUNT_DEFAULT 1000u
#else
#define COUNT_DEFAULT 3000u
#endif

struct conn {
    struct fake_peer *peer;
    weir_task *task;     /* the running handler */
    uint64_t peer_sent;  /* bytes written by the peer */
    uint64_t peer_goal;  /* bytes that the peer will write */
    uint64_t peer_heard; /* echoed bytes received by the peer */
    uint64_t read;       /* bytes read by the handler */
    uint64_t written;    /* bytes written by the handler */
    bool was_reset;      /* bytes may be lost */
    bool has_ended;      /* the peer has shut its writing side */
    bool was_served;
    uint8_t bytes[PIECE]; /* the handler's buffer */
};

static struct {
    weir_loop *loop;
    struct test_allocator alloc;
    struct conn conns[CONNS];
    uint32_t conn_count;
    uint64_t limit;
    bool closes_clients; /* the server has closed its connections */
} storm;

/* Totals of all seeds. */
static struct {
    uint64_t bytes;
    uint64_t cancelled;
    uint64_t overruns;
    uint64_t incomplete;
    uint64_t served;
} total;

/* The connection's number for storm_bytes(). */
static unsigned int number_of(const struct conn *conn)
{
    return (unsigned int)(conn - storm.conns);
}

static void check_bytes(const struct conn *conn, const void *data, size_t len,
                        uint64_t offset)
{
    if (!storm_bytes_are(number_of(conn), offset, data, len)) {
        fake_fail("a byte of connection %u from %llu on is wrong",
                  number_of(conn), (unsigned long long)offset);
    }
}

static void peer_write(struct conn *conn)
{
    const uint64_t left = conn->peer_goal - conn->peer_sent;
    size_t len = 1 + (size_t)fake_random(fake_chance(500) ? 20 : PIECE);

    if (len > left) {
        len = (size_t)left;
    }
    const uint8_t *bytes = storm_bytes(number_of(conn), conn->peer_sent);
    ssize_t sent = len > 0 ? fake_peer_write(conn->peer, bytes, len) : 0;
    if (sent > 0) {
        conn->peer_sent += (uint64_t)sent;
    }
    if (conn->peer_sent == conn->peer_goal && !conn->has_ended &&
        fake_chance(300)) {
        conn->has_ended = true;
        fake_peer_shutdown(conn->peer);
    }
}

static void peer_read(struct conn *conn)
{
    uint8_t bytes[PIECE];
    ssize_t len =
        fake_peer_read(conn->peer, bytes, 1 + (size_t)fake_random(PIECE));

    if (len > 0) {
        check_bytes(conn, bytes, (size_t)len, conn->peer_heard);
        conn->peer_heard += (uint64_t)len;
        if (conn->peer_heard > conn->written) {
            fake_fail("the peer heard more than was written");
        }
    }
}

static void peer_act(struct conn *conn)
{
    const uint64_t what = fake_random(1000);

    if (!conn->peer) {
        return;
    }
    if (what < 450) {
        peer_write(conn);
    } else if (what < 950) {
        peer_read(conn);
    } else if (what == 998) {
        conn->was_reset = true;
        fake_peer_reset(conn->peer);
    } else if (what == 999 && conn->has_ended) {
        conn->was_reset = true;
        fake_peer_close(conn->peer);
        conn->peer = NULL;
    }
}

static void beat(void *arg)
{
    if (!storm.loop) {
        return;
    }
    for (uint32_t i = 0; i < storm.conn_count; i++) {
        peer_act(&storm.conns[i]);
        struct conn *victim = &storm.conns[fake_random(CONNS)];
        if (victim->task && fake_chance(3)) {
            weir_task_cancel(victim->task);
        }
    }
    fake_at(fake_now() + 1 + fake_random(20 * US), beat, NULL);
}

/* Checks bytes that a call has read. Returns its result. */
static ssize_t got(struct conn *conn, const void *data, ssize_t len)
{
    if (len > 0) {
        check_bytes(conn, data, (size_t)len, conn->read);
        conn->read += (uint64_t)len;
        total.bytes += (uint64_t)len;
        if (conn->read > conn->peer_sent) {
            fake_fail("more was read than was sent");
        }
    }
    return len;
}

static void release_copy(void *arg)
{
    free(arg);
}

/* Echoes with a random kind of write. */
static int send_back(weir_writer *writer, const struct weir_buf *buf)
{
    const size_t half = buf->len / 2;
    const struct iovec iov[] = {
        {.iov_base = (void *)(uintptr_t)buf->data, .iov_len = half},
        {.iov_base = NULL, .iov_len = 0},
        {.iov_base = (void *)(uintptr_t)(buf->data + half),
         .iov_len = buf->len - half}};
    void *copy;

    switch (fake_random(buf->lease ? 4 : 3)) {
    case 0:
        return weir_writer_write(writer, buf->data, buf->len);
    case 1:
        return weir_writer_writelines(writer, iov, 3);
    case 2:
        copy = malloc(buf->len);
        memcpy(copy, buf->data, buf->len);
        return weir_writer_write_ref(writer, copy, buf->len, release_copy,
                                     copy);
    default:
        return weir_writer_write_buf(writer, buf);
    }
}

static int echo(struct conn *conn, weir_writer *writer,
                const struct weir_buf *buf)
{
    int err = send_back(writer, buf);
    if (err == 0) {
        conn->written += buf->len;
    }
    return err;
}

static ssize_t read_view_somehow(weir_reader *reader, struct weir_buf *buf)
{
    static const struct weir_separator separators[] = {{"\n", 1}, {";", 1}};

    switch (fake_random(5)) {
    case 0:
        return weir_reader_read_view(reader, 1 + fake_random(PIECE), buf);
    case 1:
        return weir_reader_readexactly_view(
            reader, 1 + fake_random(fake_chance(100) ? 3 * storm.limit : 50),
            buf);
    case 2:
        return weir_reader_readline_view(reader, buf);
    default:
        return weir_reader_readuntil_view(reader, separators,
                                          1 + fake_random(2), buf);
    }
}

static ssize_t read_copy_somehow(weir_reader *reader, void *buf, size_t size)
{
    static const struct weir_separator separators[] = {{";", 1}, {"\n", 1}};
    const size_t len = 1 + fake_random(size);

    switch (fake_random(4)) {
    case 0:
        return weir_reader_read(reader, buf, len);
    case 1:
        return weir_reader_readexactly(reader, buf, len);
    case 2:
        return weir_reader_readline(reader, buf, len);
    default:
        return weir_reader_readuntil(reader, separators, 2, buf, len);
    }
}

/* Waits for bytes, checks them in place, and consumes some. */
static ssize_t read_by_peeking(struct conn *conn, weir_reader *reader,
                               struct weir_buf *ret)
{
    uint8_t *bytes = conn->bytes;
    const size_t before = weir_reader_get_buffer_size(reader);
    ssize_t len = weir_reader_fill(reader, 1 + fake_random(60));
    struct weir_buf buf;
    size_t copied = 0;

    if (len <= 0) {
        return len;
    }
    if ((size_t)len < before) {
        fake_fail("a call that waits has lost bytes");
    }
    while (copied < PIECE && weir_reader_peek(reader, copied, &buf) > 0) {
        const size_t part = buf.len < PIECE - copied ? buf.len : PIECE - copied;
        memcpy(bytes + copied, buf.data, part);
        copied += part;
    }
    const size_t used = 1 + fake_random(copied);
    if (weir_reader_consume(reader, weir_reader_get_buffer_size(reader) + 1) !=
            -EINVAL ||
        weir_reader_consume(reader, used) != 0) {
        fake_fail("consume does not count");
    }
    *ret = (struct weir_buf){.data = bytes, .len = used};
    return (ssize_t)used;
}

/* Reads once and echoes. Returns the result of the read. */
static ssize_t read_and_echo(struct conn *conn, weir_reader *reader,
                             weir_writer *writer, int *ret_write)
{
    struct weir_buf buf = {.data = conn->bytes};
    bool is_taken = false;
    ssize_t len;

    switch (fake_random(4)) {
    case 0:
        len = read_copy_somehow(reader, conn->bytes, PIECE);
        break;
    case 1:
        len = read_by_peeking(conn, reader, &buf);
        break;
    case 2:
        len = weir_reader_take(reader, 1 + fake_random(PIECE), &buf);
        is_taken = len > 0;
        break;
    default:
        len = read_view_somehow(reader, &buf);
    }
    if (len > 0) {
        buf.len = (size_t)len;
        got(conn, buf.data, len);
        *ret_write = echo(conn, writer, &buf);
    }
    if (is_taken) {
        weir_buf_unref(buf.lease);
    }
    return len;
}

/* Echoes one byte. */
static bool pass_byte(struct conn *conn, weir_reader *reader,
                      weir_writer *writer)
{
    const struct weir_buf buf = {.data = conn->bytes, .len = 1};

    return got(conn, conn->bytes, weir_reader_read(reader, conn->bytes, 1)) !=
               1 ||
           echo(conn, writer, &buf) == 0;
}

/* Checks a failed read. Returns true if the handler may continue. */
static bool recover(struct conn *conn, weir_reader *reader, weir_writer *writer,
                    ssize_t err)
{
    const size_t buffered = weir_reader_get_buffer_size(reader);

    switch (err) {
    case WEIR_ELIMIT:
        total.overruns++;
        if (weir_reader_get_consumed(reader) > buffered || buffered == 0) {
            fake_fail("consumed is more than there is");
        }
        return pass_byte(conn, reader, writer);
    case WEIR_EINCOMPLETE:
        total.incomplete++;
        if (buffered == 0) {
            return false;
        }
        return pass_byte(conn, reader, writer);
    case -ECANCELED:
        total.cancelled++;
        return fake_chance(800);
    case -ETIMEDOUT:
        return true;
    default:
        if (buffered == 0) {
            return false;
        }
        /* The call requested more, and returns the buffered bytes first. */
        if (weir_reader_read(reader, conn->bytes, 0) != 0 ||
            weir_reader_get_exception(reader) != err) {
            fake_fail("error %zd is not the stream's", err);
        }
        return pass_byte(conn, reader, writer);
    }
}

static int64_t pace(weir_loop *loop, struct conn *conn, weir_writer *writer)
{
    int err;

    switch (fake_random(12)) {
    case 0:
        return weir_sleep(loop, fake_random(300 * US));
    case 1:
        err = weir_writer_flush(writer);
        if (err == 0 && weir_writer_get_write_buffer_size(writer) != 0) {
            fake_fail("flushed, and bytes wait");
        }
        return err;
    case 2:
    case 3:
        return 0;
    default:
        err = weir_writer_drain(writer);
        /* Leases that were not sent yet may exceed the mark. */
        if (err == 0 &&
            weir_writer_get_write_buffer_size(writer) > 262144 + PIECE) {
            fake_fail("drained, and too much waits");
        }
        return conn->was_served ? err : 0;
    }
}

/* Runs until the end of the stream or the last cancellation. */
static void converse(weir_loop *loop, struct conn *conn, weir_reader *reader,
                     weir_writer *writer)
{
    for (;;) {
        struct weir_timeout limit;
        const bool is_timed = fake_chance(300);
        int write_err = 0;
        if (is_timed) {
            weir_timeout_begin(loop, &limit, fake_random(200 * US));
        }
        const uint64_t before = conn->read;
        int64_t len = read_and_echo(conn, reader, writer, &write_err);
        if (len < 0 && conn->read != before) {
            fake_fail("a read that failed consumed bytes");
        }
        if (len > 0 && write_err == 0) {
            int64_t err = pace(loop, conn, writer);
            len = err == -ECANCELED ? err : len;
        }
        if (is_timed) {
            len = weir_timeout_end(&limit, len);
        }
        if (len == 0 && !conn->was_reset && !storm.closes_clients &&
            (!conn->has_ended || conn->read != conn->peer_sent)) {
            fake_fail("the end came at byte %llu of %llu",
                      (unsigned long long)conn->read,
                      (unsigned long long)conn->peer_sent);
        }
        if (len == 0 || write_err < 0 ||
            (len < 0 && !recover(conn, reader, writer, (ssize_t)len))) {
            return;
        }
    }
}

static struct conn *conn_of(const weir_writer *writer)
{
    struct weir_address peername;
    weir_transport_get_peername(weir_writer_get_transport(writer), &peername);
    const uint16_t port = ntohs(peername.storage.inet.sin_port);

    for (uint32_t i = 0; i < storm.conn_count; i++) {
        struct conn *conn = &storm.conns[i];
        if (conn->peer && fake_peer_port(conn->peer) == port) {
            return conn;
        }
    }
    return NULL; /* the peer has closed already */
}

static int handle(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct conn *conn = conn_of(writer);
    weir_loop *loop =
        weir_transport_get_loop(weir_writer_get_transport(writer));

    if (!conn) {
        return 0;
    }
    cr_assert_not(conn->was_served);
    conn->was_served = true;
    conn->task = weir_task_get_current(loop);
    total.served++;
    converse(loop, conn, reader, writer);
    switch (fake_random(6)) {
    case 0:
        weir_writer_abort(writer);
        conn->was_reset = true;
        break;
    case 1:
        weir_writer_close(writer);
        if (weir_writer_wait_closed(writer) == 0 && !conn->was_reset &&
            weir_writer_get_write_buffer_size(writer) != 0) {
            fake_fail("closed, and bytes wait");
        }
        break;
    default:
        break;
    }
    conn->task = NULL;
    return 0;
}

static int serve(weir_loop *loop, void *arg)
{
    struct weir_start_server_options options = {.size = sizeof(options),
                                                .limit_bytes = storm.limit};
    weir_server *server;
    struct weir_address addr;

    int err =
        weir_start_server(loop, handle, "127.0.0.1", 0, &options, &server);
    if (err < 0) {
        return err;
    }
    weir_server_get_socket(server, 0, &addr);
    for (uint32_t i = 0; i < storm.conn_count; i++) {
        storm.conns[i].peer =
            fake_connect((const struct sockaddr *)&addr.storage, addr.len);
        storm.conns[i].peer_goal =
            fake_random(fake_chance(300) ? 200000 : 4000);
    }
    beat(NULL);
    err = weir_sleep(loop, fake_random(20 * MS));
    if (fake_chance(500)) {
        storm.closes_clients = true;
        weir_server_close(server);
        weir_server_close_clients(server);
        err = weir_server_wait_closed(server);
    }
    weir_server_free(server);
    return err;
}

static void plan_machine(uint64_t seed)
{
    static const uint32_t sizes[] = {16, 600, 5000, 65536};
    static const enum fake_fault faults[] = {
        FAKE_SHORT_SEND, FAKE_SHORT_RECV,  FAKE_DELAY,    FAKE_REORDER,
        FAKE_NO_BUFFER,  FAKE_CANCEL_RACE, FAKE_INTERRUPT};
    struct fake_options machine = {.seed = ~seed};

    fake_start(&machine);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        machine.permille[faults[i]] =
            fake_chance(500) ? 0 : (uint32_t)fake_random(300);
    }
    machine.send_size = sizes[fake_random(4)];
    machine.recv_size = sizes[fake_random(4)];
    machine.poison = fake_chance(200);
    machine.missing = fake_chance(300) ? (uint32_t)fake_random(32) : 0;
    fake_stop();
    machine.seed = seed;
    fake_start(&machine);
}

static void run_seed(uint64_t seed)
{
    static const uint64_t limits[] = {10, 100, 3000, 65536};
    struct weir_loop_options options = {.size = sizeof(options)};

    memset(&storm, 0, sizeof(storm));
    plan_machine(seed);
    allocator_init(&storm.alloc);
    options.allocator = &storm.alloc.hooks;
    options.held_limit_bytes = fake_chance(300) ? 1u << 20 : 0;
    options.engine = seed % 4 == 0 ? WEIR_ENGINE_POLL : WEIR_ENGINE_AUTO;
    storm.limit = limits[fake_random(4)];
    storm.conn_count = 1 + (uint32_t)fake_random(CONNS);
    expect_eq(weir_loop_new(&options, &storm.loop), 0);
    int result = 0;
    int err = weir_loop_run_task(storm.loop, serve, NULL, &result);
    if (err != 0 || result != 0) {
        fake_fail("the run ended with %d, %d", err, result);
    }
    err = weir_loop_free(storm.loop);
    storm.loop = NULL;
    if (err < 0) {
        fake_fail("loop_free gave %d", err);
    }
    for (uint32_t i = 0; i < storm.conn_count; i++) {
        if (storm.conns[i].task) {
            fake_fail("a handler did not end");
        }
    }
    allocator_check(&storm.alloc);
    fake_stop();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

UNIT(storm, of_streams_loses_no_byte_and_leaves_nothing)
{
    const uint64_t seed = number_from("WEIR_STREAM_SEED", 0);
    const uint64_t count = number_from("WEIR_STREAM_COUNT", COUNT_DEFAULT);

    for (uint64_t i = 1; i <= (seed != 0 ? 1 : count); i++) {
        run_seed(seed != 0 ? seed : i);
    }
    if (seed != 0) {
        return;
    }
    expect_gt(total.bytes, count * 1000);
    expect_gt(total.served, count * 2);
    expect_gt(total.cancelled, count / 10);
    expect_gt(total.overruns, count / 10);
    expect_gt(total.incomplete, count / 10);
}
