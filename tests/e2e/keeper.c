/*
 * An echo server that uses every way in which the library lets a server echo.
 *
 * For each piece it chooses at random how it answers (a copy, two pieces, a
 * reference, the lease itself), and whether it keeps the lease for a while,
 * pauses reading for a while, or changes to another kind of protocol. It keeps
 * all leases of clients whose address is not 127.0.0.1 for a second, or for
 * WEIR_KEEP_SECONDS of the environment; WEIR_TEST_SEED sets the seed.
 * With --hosts there are two loops, each inside an epoll loop on its own
 * thread, and connections move between them at random. On SIGINT or SIGTERM it
 * frees its loops with all connections in them, and ends with 0.
 *
 * Usage: keeper [--hosts] PORT
 */

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <weir/embed.h>
#include <weir/error.h>
#include <weir/move.h>
#include <weir/server.h>

#define KEPT_SHORT   16U
#define KEPT_MAX     1024U
#define MEMORY_BYTES 20000U
#define MILLISECOND  UINT64_C(1000000)

/* Reasons why reading is paused. */
enum { FULL = 1, WHIM = 2 };

struct session {
    struct host *host;
    weir_transport *t;
    /* The timer that releases the kept leases and resumes reading; all zero if
     * it is not set. */
    struct weir_handle rest;
    bool is_resting;
    bool keeps_all;
    unsigned paused;
    unsigned kept_count;
    weir_lease *kept[KEPT_MAX];
    /* With a buffered protocol: the memory that get_buffer returned last. */
    char *memory;
    char fixed[MEMORY_BYTES];
};

/* A loop, and the epoll loop that it is inside of. */
struct host {
    weir_loop *loop;
    weir_mailbox *mailbox;
    struct host *other; /* NULL if there is only one loop */
    uint64_t seed;
    sem_t is_open;
    bool is_stopped;
};

static _Thread_local uint64_t chance_state;
static uint64_t keep_ns;

static uint64_t chance(uint64_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state % below;
}

static void check(int error, const char *what)
{
    if (error < 0) {
        errx(1, "%s: %s", what, weir_strerror(error));
    }
}

/* ---- leases and pauses ---- */

static void give_back(struct session *session)
{
    for (unsigned i = 0; i < session->kept_count; i++) {
        weir_buf_unref(session->kept[i]);
    }
    session->kept_count = 0;
}

static void set_paused(struct session *session, unsigned paused)
{
    unsigned before = session->paused;

    session->paused = paused;
    if (paused && !before) {
        weir_transport_pause_reading(session->t);
    }
    if (!paused && before) {
        weir_transport_resume_reading(session->t);
    }
}

static void rested(void *arg)
{
    struct session *session = arg;

    session->is_resting = false;
    give_back(session);
    set_paused(session, session->paused & ~(unsigned)WHIM);
}

/* Starts the timer, which ends everything that was begun. */
static void rest(struct session *session)
{
    uint64_t time_ns = session->keeps_all ? keep_ns : chance(20) * MILLISECOND;

    if (!session->is_resting) {
        check(weir_loop_call_later(session->host->loop, time_ns, rested,
                                   session, &session->rest),
              "call_later");
        session->is_resting = true;
    }
}

static void keep(struct session *session, const struct weir_buf *buf)
{
    unsigned most = session->keeps_all ? KEPT_MAX : KEPT_SHORT;

    if (session->kept_count == most) {
        weir_buf_unref(session->kept[--session->kept_count]);
    }
    struct weir_buf kept = *buf;
    check(weir_buf_ref(&kept), "keep");
    session->kept[session->kept_count++] = kept.lease;
    rest(session);
}

/* ---- answers ---- */

static int write_reference(weir_transport *t, const void *data, size_t len)
{
    void *copy = malloc(len);

    if (!copy) {
        return -ENOMEM;
    }
    memcpy(copy, data, len);
    return weir_transport_write_ref(t, copy, len, free, copy);
}

static int write_halves(weir_transport *t, const void *data, size_t len)
{
    size_t half = len / 2;
    struct iovec halves[] = {
        {.iov_base = (void *)(uintptr_t)data, .iov_len = half},
        {.iov_base = (char *)(uintptr_t)data + half, .iov_len = len - half}};

    return weir_transport_writelines(t, halves, 2);
}

/* @lease is NULL if the library does not own the memory. */
static int answer(weir_transport *t, const void *data, size_t len,
                  weir_lease *lease)
{
    struct weir_buf buf = {.data = data, .len = len, .lease = lease};

    switch (chance(4)) {
    case 0:
        return write_reference(t, data, len);
    case 1:
        return write_halves(t, data, len);
    case 2:
        if (lease) {
            return weir_transport_write_buf(t, &buf);
        }
        return weir_transport_write(t, data, len);
    default:
        return weir_transport_write(t, data, len);
    }
}

/* ---- protocols ---- */

static void moved(void *user, weir_transport *t)
{
    struct session *session = user;

    (void)t;
    if (session->is_resting) {
        weir_handle_cancel(session->host->loop, session->rest);
    }
    give_back(session);
    free(session);
}

static void lost(void *user, weir_transport *t, int error)
{
    (void)error;
    moved(user, t);
}

static void pause_writing(void *user, weir_transport *t)
{
    struct session *session = user;

    (void)t;
    set_paused(session, session->paused | FULL);
}

static void resume_writing(void *user, weir_transport *t)
{
    struct session *session = user;

    (void)t;
    set_paused(session, session->paused & ~(unsigned)FULL);
}

static int change_protocol(struct session *session);
static int move(struct session *session);

static int act(struct session *session)
{
    if (chance(32) == 0) {
        set_paused(session, session->paused | WHIM);
        rest(session);
    }
    if (session->host->other && chance(16) == 0) {
        return move(session);
    }
    return chance(8) == 0 ? change_protocol(session) : 0;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct session *session = user;
    int error = answer(t, buf->data, buf->len, buf->lease);

    if (error == 0 && (session->keeps_all || chance(4) == 0)) {
        keep(session, buf);
    }
    return error == 0 ? act(session) : error;
}

static int get_fixed(void *user, weir_transport *t, size_t hint, void **ret_buf,
                     size_t *ret_size)
{
    struct session *session = user;

    (void)t;
    (void)hint;
    session->memory = session->fixed;
    *ret_buf = session->fixed;
    *ret_size = 1 + chance(MEMORY_BYTES);
    return 0;
}

static int fixed_updated(void *user, weir_transport *t, size_t len)
{
    struct session *session = user;
    int error = answer(t, session->fixed, len, NULL);

    return error == 0 ? act(session) : error;
}

/* Returns memory for the kernel to write to; it is freed when the library
 * returns it. */
static int get_lent(void *user, weir_transport *t, size_t hint, void **ret_buf,
                    size_t *ret_size)
{
    struct session *session = user;

    (void)t;
    (void)hint;
    *ret_size = 1 + chance(MEMORY_BYTES);
    session->memory = malloc(*ret_size);
    *ret_buf = session->memory;
    return session->memory ? 0 : -ENOMEM;
}

static int lent_updated(void *user, weir_transport *t, size_t len)
{
    struct session *session = user;
    char *memory = session->memory;
    int error = answer(t, memory, len, NULL);

    free(memory);
    return error == 0 ? act(session) : error;
}

static void lent_released(void *user, void *memory)
{
    (void)user; /* it may not exist any more */
    free(memory);
}

#define SHARED                                                                 \
    .connection_lost = lost, .connection_moved = moved,                        \
    .pause_writing = pause_writing, .resume_writing = resume_writing

static const struct weir_protocol protocols[] = {
    {sizeof(struct weir_protocol), WEIR_PROTOCOL_STREAM, SHARED,
     .data_received = data_received},
    {sizeof(struct weir_protocol), WEIR_PROTOCOL_BUFFERED, SHARED,
     .get_buffer = get_fixed, .buffer_updated = fixed_updated},
    {sizeof(struct weir_protocol), WEIR_PROTOCOL_BUFFERED, SHARED,
     .get_buffer = get_lent, .buffer_updated = lent_updated,
     .release_buffer = lent_released},
};

static int change_protocol(struct session *session)
{
    const struct weir_protocol *now =
        weir_transport_get_protocol(session->t).protocol;
    const struct weir_protocol *next = &protocols[chance(3)];
    struct weir_protocol_binding binding = {next, session};

    /* buffer_updated does not say which memory was filled, so the protocol that
     * lends memory does not follow itself. */
    if (now == next) {
        return 0;
    }
    return weir_transport_set_protocol(session->t, &binding, NULL, 0);
}

static int create(void *host, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct session *session = calloc(1, sizeof(*session));
    struct weir_address peer;

    if (!session) {
        return -ENOMEM;
    }
    weir_transport_get_peername(t, &peer);
    session->host = host;
    session->t = t;
    session->keeps_all =
        peer.storage.inet.sin_addr.s_addr != htonl(INADDR_LOOPBACK);
    *ret = (struct weir_protocol_binding){&protocols[0], session};
    return 0;
}

/* Continues as a new session on the other loop. A connection that cannot move
 * stays here. */
static int move(struct session *session)
{
    const struct weir_factory factory = {create, session->host->other};
    int error = weir_transport_move(session->t, session->host->other->mailbox,
                                    &factory, NULL, NULL, NULL);

    return error == -EBUSY || error == -ESHUTDOWN || error == -ENOMEM ? 0
                                                                      : error;
}

/* ---- the server ---- */

static void listening(void *arg, int error, weir_server *server)
{
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    (void)arg;
    check(error, "listen");
    check(weir_server_get_socket(server, 0, &address), "get_socket");
    printf("serving on %s\n", weir_address_format(&address, text, 128));
    fflush(stdout);
}

static void stop(void *arg)
{
    struct host *host = arg;

    host->is_stopped = true;
    if (!host->other) {
        weir_loop_stop(host->loop); /* ends weir_loop_run() */
    }
}

static void stop_by_signal(void *arg, int signum)
{
    (void)signum;
    stop(arg);
}

static int wait_ms(weir_loop *loop)
{
    const uint64_t deadline = weir_loop_get_deadline(loop);
    const uint64_t now = weir_loop_get_time(loop);
    const uint64_t left = deadline > now ? deadline - now : 0;

    return left > INT_MAX * MILLISECOND
               ? INT_MAX
               : (int)((left + MILLISECOND - 1) / MILLISECOND);
}

static void run_inside_epoll(struct host *host)
{
    const int epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    const int fd = weir_loop_get_fd(host->loop);

    check(fd, "get_fd");
    if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0) {
        err(1, "epoll");
    }
    sem_post(&host->is_open);
    while (!host->is_stopped) {
        const int count = epoll_wait(epfd, &event, 1, wait_ms(host->loop));
        if (count < 0 && errno != EINTR) {
            err(1, "epoll_wait");
        }
        if (count > 0 || wait_ms(host->loop) == 0) {
            check(weir_loop_run_once(host->loop), "run_once");
        }
    }
    close(epfd);
}

static void open_host(struct host *host)
{
    chance_state = host->seed + 88172645463325252U;
    check(weir_loop_new(NULL, &host->loop), "loop_new");
    host->mailbox = weir_loop_get_mailbox(host->loop);
}

static void *run_other(void *arg)
{
    struct host *host = arg;

    open_host(host);
    run_inside_epoll(host);
    check(weir_loop_free(host->loop), "loop_free");
    return NULL;
}

static void run_both(struct host *host)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run_other, host->other) != 0) {
        errx(1, "no thread");
    }
    sem_wait(&host->other->is_open);
    run_inside_epoll(host);
    check(weir_mailbox_call_soon(host->other->mailbox, stop, host->other, NULL),
          "call_soon");
    pthread_join(thread, NULL);
    weir_mailbox_unref(host->other->mailbox);
}

int main(int argc, char **argv)
{
    const bool has_hosts = argc > 1 && strcmp(argv[1], "--hosts") == 0;
    const char *port = argc > 1 + has_hosts ? argv[1 + has_hosts] : "0";
    const char *seed = getenv("WEIR_TEST_SEED");
    const char *keep = getenv("WEIR_KEEP_SECONDS");
    struct host hosts[2] = {{.seed = seed ? strtoull(seed, NULL, 10) : 0}};
    struct weir_factory factory = {create, &hosts[0]};
    weir_server *server;

    keep_ns = (keep ? strtoull(keep, NULL, 10) : 1) * 1000 * MILLISECOND;
    hosts[1].seed = hosts[0].seed + 1;
    hosts[0].other = has_hosts ? &hosts[1] : NULL;
    hosts[1].other = &hosts[0];
    sem_init(&hosts[0].is_open, 0, 0);
    sem_init(&hosts[1].is_open, 0, 0);
    open_host(&hosts[0]);
    weir_loop *loop = hosts[0].loop;
    check(weir_create_server(loop, &factory, "127.0.0.1", (uint16_t)atoi(port),
                             NULL, listening, NULL, &server),
          "create_server");
    check(weir_loop_add_signal_handler(loop, SIGINT, stop_by_signal, hosts),
          "SIGINT");
    check(weir_loop_add_signal_handler(loop, SIGTERM, stop_by_signal, hosts),
          "SIGTERM");
    if (has_hosts) {
        run_both(&hosts[0]);
    } else {
        check(weir_loop_run(loop), "loop_run");
    }
    weir_server_free(server);
    check(weir_loop_free(loop), "loop_free");
    weir_mailbox_unref(hosts[0].mailbox);
    return 0;
}
