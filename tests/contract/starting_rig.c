/*
 * The rig of the tests of start_tls; see starting_rig.h.
 *
 * A side has one current transport at a time; each callback checks that it gets
 * this one.
 */
#include "tests/contract/starting_rig.h"

#include "lib/tls/context/context_impl.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <weir/connect.h>
#include <weir/start_tls.h>

void starting_note(struct side *side, const char *what)
{
    const size_t len = strlen(side->notes);
    const size_t what_len = strlen(what);
    if (len >= what_len && strcmp(what, "data") == 0 &&
        strcmp(side->notes + len - what_len, what) == 0) {
        return;
    }
    expect(len + what_len + 2 < sizeof(side->notes));
    snprintf(side->notes + len, sizeof(side->notes) - len, "%s%s",
             len > 0 ? " " : "", what);
}

static void side_made(void *user, weir_transport *t)
{
    struct side *side = user;
    expect(!side->plain);
    starting_note(side, "made");
    side->plain = weir_transport_ref(t);
    side->t = weir_transport_ref(t);
}

static void side_lost(void *user, weir_transport *t, int err)
{
    struct side *side = user;
    expect(t == side->t);
    expect(!side->is_lost);
    starting_note(side, "lost");
    side->is_lost = true;
    side->lost_err = err;
}

static int side_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct side *side = user;
    expect(t == side->t);
    expect(!side->is_lost);
    starting_note(side, "data");
    if (side->data_received) {
        return side->data_received(side, buf);
    }
    expect(side->received_len + buf->len <= STARTING_ROOM);
    memcpy(side->received + side->received_len, buf->data, buf->len);
    side->received_len += buf->len;
    return 0;
}

static int side_ended(void *user, weir_transport *t)
{
    struct side *side = user;
    expect(t == side->t);
    starting_note(side, "eof");
    return 1;
}

static void side_pause(void *user, weir_transport *t)
{
    struct side *side = user;
    expect(t == side->t);
    starting_note(side, "pause");
}

static void side_resume(void *user, weir_transport *t)
{
    struct side *side = user;
    expect(t == side->t);
    starting_note(side, "resume");
}

static CALLBACKS(side_protocol, STREAM, .connection_made = side_made,
                 .connection_lost = side_lost, .data_received = side_received,
                 .eof_received = side_ended, .pause_writing = side_pause,
                 .resume_writing = side_resume);

static void open_fds(bool over_unix, int ret[2])
{
    if (over_unix) {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
    } else {
        tcp_pair(ret, 0, 0);
    }
}

static void open_side(struct starting *s, struct side *side, int fd)
{
    const struct weir_factory factory = bind_to(&side_protocol, side);
    side->rig = s;
    side->is_server = side == &s->server;
    side->received = malloc(STARTING_ROOM);
    expect(side->received != NULL);
    expect_ok(weir_create_connection_at(s->loop, &factory, weir_endpoint_fd(fd),
                                        NULL, NULL, NULL, NULL));
    RUN_UNTIL(s->loop, side->t != NULL);
}

static void open_any(struct starting *s, bool over_unix)
{
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = s->allocator};
    s->over_unix = over_unix;
    expect_eq(weir_loop_new(&options, &s->loop), 0);
    s->client_context = tls_context_of(false, 0);
    s->server_context = tls_context_of(true, 0);
    s->client_tls = (struct weir_tls_settings){
        .size = sizeof(s->client_tls),
        .context = s->client_context,
        .server_hostname = "localhost",
    };
    s->server_tls = (struct weir_tls_settings){.size = sizeof(s->server_tls),
                                               .context = s->server_context};
}

void starting_open(struct starting *s, bool over_unix)
{
    int fds[2];
    open_any(s, over_unix);
    open_fds(over_unix, fds);
    open_side(s, &s->client, fds[0]);
    open_side(s, &s->server, fds[1]);
}

void starting_open_lone(struct starting *s, bool over_unix, bool is_server)
{
    int fds[2];
    open_any(s, over_unix);
    open_fds(over_unix, fds);
    open_side(s, is_server ? &s->server : &s->client, fds[0]);
    s->peer = fds[1];
    set_nonblocking(s->peer);
}

static void close_side(struct side *side)
{
    if (side->plain) {
        expect(side->is_lost);
        expect(strstr(side->notes, "lost") != NULL);
    }
    weir_transport_unref(side->plain);
    weir_transport_unref(side->t);
    free(side->received);
}

static void close_context(weir_tls_context *context)
{
    expect_eq(context->references, 1);
    weir_tls_context_unref(context);
}

void starting_close(struct starting *s)
{
    weir_loop_free(s->loop);
    close_side(&s->client);
    close_side(&s->server);
    if (s->peer >= 0) {
        close(s->peer);
    }
    close_context(s->client_context);
    close_context(s->server_context);
}

void starting_rounds(void (*body)(struct starting *s))
{
    for (int over_unix = 0; over_unix < 2; over_unix++) {
        struct starting s = {.peer = -1};
        starting_open(&s, over_unix != 0);
        body(&s);
        starting_close(&s);
    }
}

static void starting_lone(bool is_server, void (*body)(struct starting *s))
{
    for (int over_unix = 0; over_unix < 2; over_unix++) {
        struct starting s = {.peer = -1};
        starting_open_lone(&s, over_unix != 0, is_server);
        body(&s);
        starting_close(&s);
    }
}

void starting_lone_servers(void (*body)(struct starting *s))
{
    starting_lone(true, body);
}

void starting_lone_clients(void (*body)(struct starting *s))
{
    starting_lone(false, body);
}

static void side_done(void *arg, int err, weir_transport *t)
{
    struct side *side = arg;
    expect(t == side->t);
    expect(!side->is_lost);
    starting_note(side, "done");
    side->done_count++;
    side->done_err = err;
}

int starting_try(struct side *side, const struct weir_buf *initial,
                 size_t count)
{
    const struct weir_start_tls_options options = {
        .size = sizeof(options), .initial = initial, .initial_count = count};
    weir_transport *t;
    int err = weir_transport_start_tls(side->t,
                                       side->is_server ? &side->rig->server_tls
                                                       : &side->rig->client_tls,
                                       &options, side_done, side, &t);
    if (err == 0) {
        expect(t != side->t);
        weir_transport_ref(t);
        weir_transport_unref(side->t);
        side->t = t;
    }
    return err;
}

void starting_upgrade(struct side *side)
{
    expect_eq(starting_try(side, NULL, 0), 0);
}

void starting_upgrade_both(struct starting *s)
{
    starting_upgrade(&s->server);
    starting_upgrade(&s->client);
    starting_wait_done(&s->client);
    starting_wait_done(&s->server);
    expect_eq(s->client.done_err, 0);
    expect_eq(s->server.done_err, 0);
}

void starting_write(struct side *side, const char *text)
{
    expect_eq(weir_transport_write(side->t, text, strlen(text)), 0);
}

bool starting_has(const struct side *side, const char *text)
{
    return side->received_len == strlen(text) &&
           memcmp(side->received, text, side->received_len) == 0;
}

void starting_wait_done(struct side *side)
{
    RUN_UNTIL(side->rig->loop, side->done_count > 0);
    expect_eq(side->done_count, 1);
}

void starting_wait_lost(struct side *side)
{
    RUN_UNTIL(side->rig->loop, side->is_lost);
}

void starting_wait_received(struct side *side, size_t len)
{
    RUN_UNTIL(side->rig->loop, side->received_len >= len);
    expect_eq(side->received_len, len);
}

void starting_wait_note(struct side *side, const char *what)
{
    RUN_UNTIL(side->rig->loop, strstr(side->notes, what) != NULL);
}

/* Over a Unix socket sent bytes reach the other side at once. */
void starting_wait_arrived(struct side *side)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    int unacked = 0;
    do {
        expect(rig_now_ns() < until_ns);
        starting_turns(side->rig, 20);
        expect_ok(
            ioctl(weir_transport_get_socket(side->t), SIOCOUTQ, &unacked));
    } while (!side->rig->over_unix && unacked > 0);
}

void starting_turns(struct starting *s, int count)
{
    for (int i = 0; i < count; i++) {
        weir_loop_stop(s->loop);
        expect_eq(weir_loop_run(s->loop), 0);
        poll(NULL, 0, 1); /* time for a busy kernel */
    }
}

void starting_end(struct starting *s)
{
    expect_eq(weir_transport_close(s->client.t), 0);
    expect_eq(weir_transport_close(s->server.t), 0);
    starting_wait_lost(&s->client);
    starting_wait_lost(&s->server);
}

void starting_peer_send(struct starting *s, const void *data, size_t len)
{
    expect_eq(send(s->peer, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

struct reading {
    int fd;
    void *buf;
    size_t size;
    ssize_t result;
};

static bool has_read(void *arg)
{
    struct reading *reading = arg;
    reading->result = recv(reading->fd, reading->buf, reading->size, 0);
    return reading->result >= 0 || errno != EAGAIN;
}

size_t starting_peer_read(struct starting *s, void *buf, size_t size)
{
    struct reading reading = {.fd = s->peer, .buf = buf, .size = size};
    while (!has_read(&reading)) {
        starting_turns(s, 1);
    }
    expect(reading.result >= 0);
    return (size_t)reading.result;
}
