/*
 * The rig of the datagram suites; see datagram_rig.h.
 *
 * Most tests run with the recorder as the protocol. It records each callback,
 * and checks that none is nested (except pause_writing) and that none comes
 * before connection_made or after connection_lost.
 */
#include "tests/contract/datagram_rig.h"

#include <arpa/inet.h>
#include <sched.h>

static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
static const char *const names[] = {"udp4", "udp6", "unix"};
static const char *current_name = "none";

const char *dg_name(void)
{
    return current_name;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * DG_S + (uint64_t)now.tv_nsec;
}

static void record(struct dg *rig, const char *event)
{
    const size_t len = strlen(rig->events);
    const size_t event_len = strlen(event);
    const bool repeated =
        len >= event_len && strcmp(rig->events + len - event_len, event) == 0;
    if (!repeated && len + event_len + 2 <= sizeof(rig->events)) {
        snprintf(rig->events + len, sizeof(rig->events) - len, "%s%s",
                 len > 0 ? " " : "", event);
    }
}

static void enter(struct dg *rig, weir_transport *t, const char *event)
{
    expect_eq(rig->depth, 0, "%s is nested", event);
    expect_eq(rig->lost_count, 0, "%s after the loss", event);
    cr_assert(!rig->t || rig->t == t);
    rig->depth++;
    record(rig, event);
}

static void connection_made(void *user, weir_transport *t)
{
    struct dg *rig = user;
    enter(rig, t, "made");
    rig->made_count++;
    rig->t = weir_transport_ref(t);
    if (rig->hooks.connection_made) {
        rig->hooks.connection_made(rig);
    }
    rig->depth--;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct dg *rig = user;
    enter(rig, t, "lost");
    rig->lost_count++;
    rig->lost_err = err;
    expect_geq(weir_transport_get_socket(t), 0, "R4: it is still open");
    if (rig->hooks.connection_lost) {
        rig->hooks.connection_lost(rig);
    }
    rig->depth--;
}

static void pause_writing(void *user, weir_transport *t)
{
    struct dg *rig = user;
    expect_eq(rig->t, t);
    expect_eq(rig->lost_count, 0);
    record(rig, "pause");
}

static void resume_writing(void *user, weir_transport *t)
{
    struct dg *rig = user;
    enter(rig, t, "resume");
    if (rig->hooks.resume_writing) {
        rig->hooks.resume_writing(rig);
    }
    rig->depth--;
}

static void keep_last(struct dg *rig, const struct weir_datagram *datagram)
{
    struct dg_received *last = &rig->last;

    cr_assert_leq(datagram->buf.len, DG_BYTES_MAX);
    memcpy(last->bytes, datagram->buf.data, datagram->buf.len);
    last->len = datagram->buf.len;
    last->size_bytes = datagram->size_bytes;
    last->flags = datagram->flags;
    last->segment_bytes = datagram->segment_bytes;
    last->has_ancillary = datagram->ancillary != NULL;
    if (datagram->ancillary) {
        last->ancillary = *datagram->ancillary;
    }
    last->peer = datagram->peer;
}

static int datagram_received(void *user, weir_transport *t,
                             const struct weir_datagram *datagram)
{
    struct dg *rig = user;
    int result = 0;
    enter(rig, t, "datagram");
    expect_eq(rig->made_count, 1);
    rig->received++;
    rig->received_bytes += datagram->buf.len;
    keep_last(rig, datagram);
    if (rig->hooks.datagram_received) {
        result = rig->hooks.datagram_received(rig, datagram);
    }
    rig->depth--;
    return result;
}

static void error_received(void *user, weir_transport *t, int err,
                           const struct weir_address *peer)
{
    struct dg *rig = user;
    enter(rig, t, "error");
    cr_assert_lt(err, 0);
    rig->error_count++;
    rig->error = err;
    rig->error_peer = peer ? *peer : (struct weir_address){.len = 0};
    if (rig->hooks.error_received) {
        rig->hooks.error_received(rig, err);
    }
    rig->depth--;
}

CALLBACKS(dg_protocol, DATAGRAM, .connection_made = connection_made,
          .connection_lost = connection_lost, .pause_writing = pause_writing,
          .resume_writing = resume_writing,
          .datagram_received = datagram_received,
          .error_received = error_received);

static void note_done(void *arg, int err, weir_transport *t)
{
    struct dg *rig = arg;
    rig->done_count++;
    rig->done_err = err;
    rig->done_t = t;
    expect_eq(err < 0, t == NULL);
}

static void note_exception(void *arg, weir_loop *loop,
                           const struct weir_exception *exception)
{
    struct dg *rig = arg;
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    rig->exception_count++;
    rig->exception_err = exception->err;
}

static void set_option(int fd, int level, int name, int value)
{
    expect_eq(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static struct weir_address any_port(int family)
{
    struct weir_address address;
    const char *host = family == AF_INET ? "127.0.0.1" : "::1";
    expect_eq(weir_address_parse(host, 0, &address), 0);
    return address;
}

int dg_socket(struct dg *rig, struct weir_address *address)
{
    const int fd = socket(rig->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    expect_eq(bind(fd, &address->storage.any, address->len), 0);
    address->len = sizeof(address->storage);
    expect_eq(getsockname(fd, &address->storage.any, &address->len), 0);
    if (rig->small_buffers) {
        set_option(fd, SOL_SOCKET, SO_RCVBUF, 4096);
        set_option(fd, SOL_SOCKET, SO_SNDBUF, 4096);
    }
    return fd;
}

struct weir_address dg_fresh_address(struct dg *rig)
{
    static int counter;
    struct weir_address address;
    if (rig->family == AF_UNIX) {
        char text[64];
        snprintf(text, sizeof(text), "@weir-datagram-%d-%d", (int)getpid(),
                 counter++);
        expect_eq(weir_address_parse_unix(text, &address), 0);
        return address;
    }
    address = any_port(rig->family);
    close(dg_socket(rig, &address));
    return address;
}

void dg_peer_open(struct dg *rig)
{
    rig->peer = dg_socket(rig, &rig->peer_address);
}

void dg_peer_close(struct dg *rig)
{
    close(rig->peer);
    rig->peer = -1;
}

void dg_peer_send(struct dg *rig, const void *data, size_t len)
{
    const ssize_t sent = sendto(rig->peer, data, len, 0,
                                &rig->address.storage.any, rig->address.len);
    expect_eq(sent, (ssize_t)len, "%s", strerror(errno));
}

ssize_t dg_peer_recv_now(struct dg *rig, void *buf, size_t size)
{
    const ssize_t got = recv(rig->peer, buf, size, MSG_DONTWAIT);
    return got < 0 ? -errno : got;
}

ssize_t dg_peer_recv(struct dg *rig, void *buf, size_t size)
{
    struct pollfd pollfd = {.fd = rig->peer, .events = POLLIN};
    const uint64_t end_ns = now_ns() + DG_WAIT_S * DG_S;
    ssize_t got;

    while ((got = dg_peer_recv_now(rig, buf, size)) == -EAGAIN) {
        cr_assert_lt(now_ns(), end_ns, "%s: nothing came", dg_name());
        dg_turns(rig, 1);
        poll(&pollfd, 1, 1);
    }
    return got;
}

struct weir_datagram_options dg_options(struct dg *rig)
{
    struct weir_datagram_options options = rig->options;
    options.size = sizeof(options);
    return options;
}

int dg_make(struct dg *rig, const struct weir_datagram_options *options)
{
    const struct weir_factory factory = bind_to(&dg_protocol, rig);
    return weir_create_datagram_endpoint(rig->loop, &factory, options,
                                         note_done, rig, NULL);
}

int dg_make_at(struct dg *rig, const struct weir_address *local,
               const struct weir_address *remote,
               const struct weir_datagram_options *options)
{
    const struct weir_factory factory = bind_to(&dg_protocol, rig);
    return weir_create_datagram_endpoint_at(
        rig->loop, &factory,
        local ? weir_endpoint_addresses(local, 1) : weir_endpoint_none(),
        remote ? weir_endpoint_addresses(remote, 1) : weir_endpoint_none(),
        options, note_done, rig, NULL);
}

int dg_adopt(struct dg *rig, int fd,
             const struct weir_datagram_options *options)
{
    const struct weir_factory factory = bind_to(&dg_protocol, rig);
    return weir_create_datagram_endpoint_at(
        rig->loop, &factory, weir_endpoint_fd(fd), weir_endpoint_none(),
        options, note_done, rig, NULL);
}

static void open_subject(struct dg *rig)
{
    struct weir_datagram_options options = dg_options(rig);
    struct weir_address own;
    if (rig->family == AF_UNIX) {
        own = dg_fresh_address(rig);
    } else {
        own = any_port(rig->family);
    }
    if (rig->small_buffers) {
        options.send_buffer_bytes = 4096;
        options.receive_buffer_bytes = 4096;
    }
    if (rig->family == AF_UNIX) {
        options.ancillary &= WEIR_ANCILLARY_TIMESTAMP;
        options.join_segments = false;
        options.allow_broadcast = false;
    }
    expect_ok(dg_make_at(rig, &own, rig->connected ? &rig->peer_address : NULL,
                         &options));
    RUN_UNTIL(rig->loop, rig->done_count > 0);
    expect_eq(rig->done_err, 0, "%s", weir_strerror(rig->done_err));
    expect_eq(rig->done_t, rig->t);
    weir_transport_get_sockname(rig->t, &rig->address);
    cr_assert_gt(rig->address.len, 0);
}

static void begin_round(struct dg *rig, int round)
{
    const struct dg kept = {
        .hooks = rig->hooks,
        .options = rig->options,
        .connected = rig->connected,
        .small_buffers = rig->small_buffers,
        .allocator = rig->allocator,
        .rounds_run = rig->rounds_run + 1,
        .round = round + 1,
    };
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = rig->allocator};
    *rig = kept;
    rig->family = families[round];
    current_name = names[round];
    /* Datagrams sent over the loopback interface pass through a queue of the
     * sending thread's CPU; on one CPU they keep their order. */
    const bool stays = rig->family != AF_UNIX;
    static cpu_set_t all;
    cpu_set_t one;

    if (CPU_COUNT(&all) == 0) {
        expect_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    }
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    expect_eq(sched_setaffinity(0, sizeof(one), stays ? &one : &all), 0);
    expect_eq(weir_loop_new(&options, &rig->loop), 0);
    weir_loop_set_exception_handler(rig->loop, note_exception, rig);
    rig->peer_address =
        rig->family == AF_UNIX ? dg_fresh_address(rig) : any_port(rig->family);
    dg_peer_open(rig);
    open_subject(rig);
}

bool dg_next(struct dg *rig)
{
    const int round = rig->round;
    if (rig->rounds_run > 0) {
        if (rig->t && rig->lost_count == 0) {
            weir_transport_abort(rig->t);
            dg_wait_lost(rig);
        }
        weir_transport_unref(rig->t);
        expect_eq(weir_loop_free(rig->loop), 0);
        if (rig->peer >= 0) {
            close(rig->peer);
        }
    }
    if (round == (int)(sizeof(families) / sizeof(families[0]))) {
        current_name = "none";
        return false;
    }
    begin_round(rig, round);
    return true;
}

void dg_rounds(const struct dg *rig, void (*round)(struct dg *rig))
{
    static struct dg own;

    own = *rig;
    while (dg_next(&own)) {
        round(&own);
    }
}

void dg_wait_received(struct dg *rig, uint64_t count)
{
    RUN_UNTIL(rig->loop, rig->received >= count);
}

void dg_wait_errors(struct dg *rig, int count)
{
    RUN_UNTIL(rig->loop, rig->error_count >= count);
}

void dg_wait_lost(struct dg *rig)
{
    RUN_UNTIL(rig->loop, rig->lost_count > 0);
}

void dg_turns(struct dg *rig, int count)
{
    for (int i = 0; i < count; i++) {
        weir_loop_stop(rig->loop);
        expect_eq(weir_loop_run(rig->loop), 0);
    }
}

void dg_turn_for(struct dg *rig, uint64_t time_ns)
{
    const uint64_t end_ns = now_ns() + time_ns;
    for (int i = 0; i < DG_TURNS_MIN || now_ns() < end_ns; i++) {
        dg_turns(rig, 1);
    }
}

void dg_wait_closed(int fd)
{
    const uint64_t end_ns = now_ns() + DG_WAIT_S * DG_S;
    while (fcntl(fd, F_GETFD) >= 0) {
        cr_assert_lt(now_ns(), end_ns, "%s: it stays open", dg_name());
        usleep(1000);
    }
}

int dg_send(struct dg *rig, const void *data, size_t len)
{
    return weir_transport_sendto(rig->t, data, len,
                                 rig->connected ? NULL : &rig->peer_address);
}

void dg_send_numbered(struct dg *rig, uint32_t count, size_t len)
{
    static uint8_t bytes[DG_BYTES_MAX];
    cr_assert_geq(len, sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes, &rig->next_number, sizeof(rig->next_number));
        rig->next_number++;
        cr_assert_geq(dg_send(rig, bytes, len), 0);
    }
}

struct weir_datagram_counts dg_counts(const struct dg *rig)
{
    struct weir_datagram_counts counts = {.size = 0};
    expect_eq(weir_transport_get_datagram_counts(rig->t, &counts),
              WEIR_EOPTIONSIZE);
    counts.size = sizeof(counts);
    expect_eq(weir_transport_get_datagram_counts(rig->t, &counts), 0);
    return counts;
}
