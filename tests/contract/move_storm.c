/*
 * Many moves: one thread accepts, and connections move between loops at moments
 * chosen by their bytes, while clients check every byte of the echo, the loops
 * post to each other, and a stop lets started work end.
 *
 * Some moves fail or are cancelled. WEIR_TEST_SEED repeats the choices, as far
 * as threads are repeatable; WEIR_STORM_ROUNDS makes it longer. Run it with the
 * address and thread sanitizers.
 */
#include "tests/contract/executor_rig.h"
#include "tests/contract/harness.h"
#include "tests/unit/random.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <weir/move.h>
#include <weir/stream.h>
#include <weir/threads.h>

enum {
    LOOPS = 3,
    CLIENTS = 6,
    MESSAGES = 60, /* of a connection */
    STOP_AFTER = 1500,
    MESSAGE_MAX = 60000,
};

struct session {
    struct unit_random random;
    weir_thread *to;
};

static struct {
    uint64_t seed;
    uint16_t port;
    weir_server *servers[LOOPS]; /* each used only by its thread */
    sem_t serves;
    sem_t messages;
    pthread_mutex_t mutex;
    /* Under the mutex. */
    uint64_t moved_count;
    uint64_t failed_count;
    uint64_t posted_count;
    uint64_t finished_count;
} storm;

static void storm_count(uint64_t *number)
{
    pthread_mutex_lock(&storm.mutex);
    ++*number;
    pthread_mutex_unlock(&storm.mutex);
}

static int storm_arrive(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret);

static void storm_done(void *arg, int err)
{
    cr_assert(err == 0 || err == -ESHUTDOWN || err == -ECANCELED ||
                  err == -EPROTO,
              "a move ended with %d", err);
    storm_count(err == 0 ? &storm.moved_count : &storm.failed_count);
}

static void storm_note_post(void *arg)
{
    storm_count(arg);
}

static void storm_made(void *user, weir_transport *t)
{
    struct session *session = user;
    expect_eq(weir_transport_set_busy(t, true), 0);
    if (!session->to) {
        expect_eq(weir_transport_write(t, "", 1), 0); /* greets the client */
    }
}

static void storm_moved(void *user, weir_transport *t)
{
    (void)user;
}

static void storm_lost(void *user, weir_transport *t, int err)
{
    expect_eq(err, 0, "a connection broke");
    expect_eq(weir_transport_get_end(t), WEIR_END_EOF);
    free(user);
    storm_count(&storm.finished_count);
}

static void storm_move(struct session *session, weir_transport *t)
{
    weir_thread *here = weir_loop_get_thread(weir_transport_get_loop(t));
    const uint32_t at = weir_thread_get_index(here);
    const uint32_t to =
        (at + 1 + (uint32_t)unit_random_below(&session->random, LOOPS - 1)) %
        LOOPS;
    const bool is_fickle = unit_random_below(&session->random, 5) == 0;
    const struct weir_factory factory = {storm_arrive, session};
    weir_pending *pending;
    session->to = weir_threads_get(weir_thread_get_group(here), to);
    const int err = weir_thread_call_soon(session->to, storm_note_post,
                                          &storm.posted_count, NULL);
    expect(err == 0 || err == -ESHUTDOWN);
    expect_ok(weir_transport_move(t, weir_thread_get_mailbox(session->to),
                                  &factory, storm_done, NULL, &pending));
    if (is_fickle) {
        weir_pending_cancel(pending);
    }
}

static int storm_echo(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct session *session = user;
    const int err = weir_transport_write_buf(t, buf);
    if (err == 0 && unit_random_below(&session->random, 4) == 0) {
        storm_move(session, t);
    }
    return err;
}

static CALLBACKS(storm_protocol, STREAM, .connection_made = storm_made,
                 .connection_lost = storm_lost, .connection_moved = storm_moved,
                 .data_received = storm_echo);

static int storm_arrive(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    struct session *session = arg;
    const uint32_t at = weir_thread_get_index(session->to);
    expect(weir_transport_get_loop(t) == weir_thread_get_loop(session->to));
    if (unit_random_below(&session->random, 8) == 0) {
        return -EPROTO;
    }
    *ret = (struct weir_protocol_binding){&storm_protocol, session};
    return storm.servers[at] ? weir_server_add_transport(storm.servers[at], t)
                             : -ESHUTDOWN;
}

static int storm_accept(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    static uint64_t number;
    struct session *session = calloc(1, sizeof(*session));
    expect(session != NULL);
    session->random.state = storm.seed + ++number;
    *ret = (struct weir_protocol_binding){&storm_protocol, session};
    return 0;
}

static void storm_listens(void *arg, int err, weir_server *server)
{
    struct weir_address address;
    expect_eq(err, 0);
    if (arg) {
        expect_geq(weir_server_get_socket(server, 0, &address), 0);
        storm.port = ntohs(address.storage.inet.sin_port);
    }
    expect_eq(sem_post(&storm.serves), 0);
}

static int storm_serve(weir_thread *thread, void *arg)
{
    const uint32_t index = weir_thread_get_index(thread);
    const struct weir_server_options options = {
        .size = sizeof(options),
        .no_sockets = index > 0,
        .grace_ns = UINT64_MAX,
    };
    const struct weir_factory factory = {storm_accept, NULL};
    weir_server *server;
    expect_ok(weir_create_server(
        weir_thread_get_loop(thread), &factory, index > 0 ? NULL : "127.0.0.1",
        0, &options, storm_listens, index > 0 ? NULL : thread, &server));
    storm.servers[index] = server;
    const int err = weir_server_serve_forever(server);
    storm.servers[index] = NULL;
    weir_server_free(server);
    return err;
}

static void client_talk(int fd, uint64_t *at, size_t len)
{
    uint8_t bytes[MESSAGE_MAX];
    size_t got = 0;
    rig_pattern(bytes, *at, len);
    expect_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    while (got < len) {
        const ssize_t part = recv(fd, bytes, len - got, 0);
        expect_gt(part, 0, "byte %llu did not come back",
                  (unsigned long long)(*at + got));
        expect(rig_is_pattern(bytes, *at + got, (size_t)part));
        got += (size_t)part;
    }
    *at += len;
}

/* Makes one connection. Returns false if the server no longer serves. */
static bool client_connect(struct unit_random *random)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(storm.port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    uint64_t at = 0;
    char byte;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        recv(fd, &byte, 1, 0) != 1) {
        close(fd);
        return false;
    }
    for (int i = 0; i < MESSAGES; i++) {
        client_talk(fd, &at, 1 + unit_random_below(random, MESSAGE_MAX));
        expect_eq(sem_post(&storm.messages), 0);
    }
    expect_eq(shutdown(fd, SHUT_WR), 0);
    expect_eq(recv(fd, &byte, 1, 0), 0, "the end came with a byte");
    close(fd);
    return true;
}

struct client {
    pthread_t id;
    uint64_t seed;
    uint64_t finished_count;
};

static void *client_run(void *arg)
{
    struct client *client = arg;
    struct unit_random random = {.state = client->seed};
    while (client_connect(&random)) {
        client->finished_count++;
    }
    return NULL;
}

static void storm_round(void)
{
    const struct weir_threads_options options = {
        .size = sizeof(options), .thread_count = LOOPS, .no_signals = true};
    struct client clients[CLIENTS];
    uint64_t finished = 0;
    weir_threads *threads;
    expect_eq(weir_threads_start(&options, storm_serve, NULL, &threads), 0);
    for (int i = 0; i < LOOPS; i++) {
        wait_for(&storm.serves);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.seed = storm.seed + 1000 + (uint64_t)i};
        expect_ok(
            pthread_create(&clients[i].id, NULL, client_run, &clients[i]));
    }
    for (int i = 0; i < STOP_AFTER; i++) {
        wait_for(&storm.messages);
    }
    weir_threads_stop(threads, UINT64_MAX);
    for (int i = 0; i < CLIENTS; i++) {
        expect_eq(pthread_join(clients[i].id, NULL), 0);
        finished += clients[i].finished_count;
    }
    expect_eq(weir_threads_join(threads), 0);
    expect_eq(storm.finished_count, finished);
    storm.finished_count = 0;
}

UNIT(move_storm, no_byte_is_lost_and_a_stop_lets_what_was_begun_end)
{
    struct unit_random random;
    const char *rounds = getenv("WEIR_STORM_ROUNDS");
    storm.seed = unit_random_seed(&random);
    expect_eq(sem_init(&storm.serves, 0, 0), 0);
    expect_eq(sem_init(&storm.messages, 0, 0), 0);
    expect_eq(pthread_mutex_init(&storm.mutex, NULL), 0);
    for (uint64_t i = rounds ? strtoull(rounds, NULL, 0) : 2; i > 0; i--) {
        storm.seed = unit_random_next(&random);
        storm_round();
    }
    expect_gt(storm.moved_count, 0);
    expect_gt(storm.failed_count, 0);
    expect_gt(storm.posted_count, 0);
    expect_eq(pthread_mutex_destroy(&storm.mutex), 0);
}
