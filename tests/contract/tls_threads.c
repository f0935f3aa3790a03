/*
 * TLS contexts shared by the loops of several threads.
 *
 * Each thread has a loop with a server and clients: the clients connect to the
 * servers of all threads, send a certificate below an intermediate authority,
 * and resume sessions that other threads got. Meanwhile the threads replace the
 * context that all servers use. WEIR_TEST_SEED repeats the choices, as far as
 * threads are repeatable; WEIR_STORM_ROUNDS makes it longer. Run it with the
 * address and thread sanitizers.
 */
#include "tests/contract/harness.h"
#include "tests/tls/rig.h"
#include "tests/unit/random.h"

#include <weir/stream.h>
#include <weir/task.h>

enum { THREADS = 4, CONNECTIONS = 60, SLOTS = 4, TICKET_KEY = 48 };

struct peer {
    pthread_t thread;
    weir_loop *loop;
    weir_server *server;
    uint16_t port;
    struct unit_random random;
    uint32_t resumed_count;
};

/* The mutex protects everything that the threads share. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct peer peers[THREADS];
static int listening_count;
static int done_count;
static struct weir_tls_options every_context;
static weir_tls_context *server_context;
static weir_tls_context *client_contexts[2];
static weir_tls_session *sessions[2][SLOTS];

static uint64_t rounds(void)
{
    const char *text = getenv("WEIR_STORM_ROUNDS");
    return text ? strtoull(text, NULL, 0) : 2;
}

/* Makes a context with the common keys, or with a key of its own, which changes
 * in use. */
static weir_tls_context *storm_server_context(bool has_own_key)
{
    static const uint8_t keys[TICKET_KEY] = "the keys of all threads";
    struct weir_tls_options options = every_context;
    options.server = true;
    if (has_own_key) { /* its sessions are not resumed */
        options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    }
    options.ticket_keys = has_own_key ? NULL : keys;
    options.ticket_keys_size = has_own_key ? 0 : sizeof(keys);
    options.ticket_lifetime_ns = has_own_key ? RIG_S : 0;
    return tls_context(&options);
}

static weir_tls_context *storm_client_context(enum weir_tls_version version)
{
    struct weir_tls_options options = every_context;
    options.max_version = version;
    return tls_context(&options);
}

static weir_tls_context *storm_take_context(void)
{
    pthread_mutex_lock(&mutex);
    weir_tls_context *context = weir_tls_context_ref(server_context);
    pthread_mutex_unlock(&mutex);
    return context;
}

static void storm_replace_context(struct peer *self)
{
    weir_tls_context *context =
        storm_server_context(unit_random_below(&self->random, 2) == 0);
    pthread_mutex_lock(&mutex);
    weir_tls_context *old = server_context;
    server_context = context;
    pthread_mutex_unlock(&mutex);
    weir_tls_context_unref(old);
}

static weir_tls_session *storm_take_session(int which, uint64_t slot)
{
    weir_tls_session *session = NULL;
    pthread_mutex_lock(&mutex);
    if (sessions[which][slot]) {
        session = weir_tls_session_ref(sessions[which][slot]);
    }
    pthread_mutex_unlock(&mutex);
    return session;
}

static int storm_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char text[16];
    ssize_t len;
    while ((len = weir_reader_read(reader, text, sizeof(text))) > 0) {
        weir_writer_write(writer, text, (size_t)len);
        if ((len = weir_writer_drain(writer)) < 0) {
            break;
        }
    }
    return (int)len;
}

static void storm_talk(struct peer *self, weir_reader *reader,
                       weir_writer *writer, int which)
{
    weir_transport *t = weir_writer_get_transport(writer);
    weir_tls_session *session = NULL;
    struct weir_extra_info info = {.size = sizeof(info)};
    char text[8];
    expect_eq(weir_writer_write(writer, "hello", 5), 0);
    expect_eq(weir_reader_readexactly(reader, text, 5), 5);
    expect_eq(weir_transport_get_extra_info(t, "tls_resumed", &info), 0);
    self->resumed_count += info.number == 1;
    if (weir_tls_get_session(t, &session) == 0) {
        const uint64_t slot = unit_random_below(&self->random, SLOTS);
        pthread_mutex_lock(&mutex);
        weir_tls_session *old = sessions[which][slot];
        sessions[which][slot] = session;
        pthread_mutex_unlock(&mutex);
        weir_tls_session_unref(old);
    }
}

static void storm_connect(struct peer *self)
{
    const int which = (int)unit_random_below(&self->random, 2);
    const struct peer *to = &peers[unit_random_below(&self->random, THREADS)];
    weir_tls_session *session =
        storm_take_session(which, unit_random_below(&self->random, SLOTS));
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = client_contexts[which],
                                          .server_hostname = "localhost",
                                          .session = session};
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect), .tls = &tls}};
    weir_reader *reader;
    weir_writer *writer;
    expect_ok(weir_open_connection(self->loop, "127.0.0.1", to->port, &options,
                                   &reader, &writer));
    weir_tls_session_unref(session);
    storm_talk(self, reader, writer, which);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
}

static void storm_listen(struct peer *self)
{
    weir_tls_context *context = storm_take_context();
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = context};
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .tls = &tls}};
    struct weir_address address;
    expect_ok(weir_start_server(self->loop, storm_echo, "127.0.0.1", 0,
                                &options, &self->server));
    weir_tls_context_unref(context);
    expect(weir_server_get_socket(self->server, 0, &address) >= 0);
    self->port = ntohs(address.storage.inet.sin_port);
}

static void storm_meet(const struct peer *self, int *count)
{
    pthread_mutex_lock(&mutex);
    ++*count;
    while (*count < THREADS) {
        pthread_mutex_unlock(&mutex);
        expect_eq(weir_sleep(self->loop, RIG_MS), 0);
        pthread_mutex_lock(&mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static int storm_body(weir_loop *loop, void *arg)
{
    struct peer *self = arg;
    expect(loop == self->loop);
    storm_listen(self);
    storm_meet(self, &listening_count);
    for (uint64_t i = 0; i < rounds() * CONNECTIONS; i++) {
        storm_connect(self);
        if (unit_random_below(&self->random, 8) == 0) {
            storm_replace_context(self);
        }
        weir_tls_context *context = storm_take_context();
        const struct weir_tls_settings tls = {.size = sizeof(tls),
                                              .context = context};
        expect_eq(weir_server_set_tls(self->server, &tls), 0);
        weir_tls_context_unref(context);
    }
    storm_meet(self, &done_count);
    weir_server_close(self->server);
    expect_eq(weir_server_wait_closed(self->server), 0);
    weir_server_free(self->server);
    return 0;
}

/* Loops are created one at a time: the rings with which weir probes the kernel
 * are mapped and unmapped by system calls that ThreadSanitizer does not see, at
 * the same addresses. */
static void *storm_thread(void *arg)
{
    struct peer *self = arg;
    int err;
    pthread_mutex_lock(&mutex);
    expect_eq(weir_loop_new(NULL, &self->loop), 0);
    pthread_mutex_unlock(&mutex);
    expect_eq(weir_loop_run_task(self->loop, storm_body, self, &err), 0);
    expect_eq(err, 0);
    weir_loop_free(self->loop);
    return NULL;
}

static void storm_run_threads(void)
{
    struct unit_random random;
    unit_random_seed(&random);
    for (int i = 0; i < THREADS; i++) {
        peers[i].random.state = unit_random_next(&random);
        expect_ok(
            pthread_create(&peers[i].thread, NULL, storm_thread, &peers[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        expect_eq(pthread_join(peers[i].thread, NULL), 0);
    }
}

UNIT(tls_threads, threads_share_contexts_and_sessions)
{
    uint32_t resumed_count = 0;
    every_context = (struct weir_tls_options){
        .size = sizeof(every_context),
        .certificate = {.file = tls_file("tls-matrix/good-chain.pem")},
        .key = {.file = tls_file("tls-matrix/good-chain.key")},
        .authorities = {.file = tls_file("tls-matrix/authority.pem")}};
    server_context = storm_server_context(false);
    client_contexts[0] = storm_client_context(WEIR_TLS_1_2);
    client_contexts[1] = storm_client_context(WEIR_TLS_1_3);

    storm_run_threads();

    for (int i = 0; i < THREADS; i++) {
        resumed_count += peers[i].resumed_count;
    }
    cr_assert_gt(resumed_count, 0);
    for (int i = 0; i < 2 * SLOTS; i++) {
        weir_tls_session_unref(sessions[i / SLOTS][i % SLOTS]);
    }
    weir_tls_context_unref(client_contexts[0]);
    weir_tls_context_unref(client_contexts[1]);
    weir_tls_context_unref(server_context);
}
