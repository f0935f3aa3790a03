/*
 * Sessions that TLS clients resume, with a client and a server on one loop.
 *
 * When a session becomes available, for which connections it is valid, and that
 * everything else makes a full handshake.
 */
#define UNIT_RUN   session_run
#define UNIT_TAKES weir_loop *loop
#include "tests/contract/harness.h"
#include "tests/task.h"
#include "tests/tls/rig.h"

#include <weir/stream.h>

struct world {
    weir_tls_context *server_context;
    weir_tls_context *client_context;
    weir_server *server;
    weir_loop *loop;
    uint16_t port;
};

static weir_tls_context *session_client(enum weir_tls_version version)
{
    struct weir_tls_options options = tls_options(false);
    options.max_version = version;
    return tls_context(&options);
}

static int session_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char text[64];
    ssize_t len;
    while ((len = weir_reader_read(reader, text, sizeof(text))) > 0) {
        weir_writer_write(writer, text, (size_t)len);
        if ((len = weir_writer_drain(writer)) < 0) {
            break;
        }
    }
    return (int)len;
}

static void session_open(struct world *world, weir_loop *loop, bool no_tickets)
{
    *world = (struct world){.loop = loop};
    struct weir_tls_options server = tls_options(true);
    server.no_tickets = no_tickets;
    world->server_context = tls_context(&server);
    world->client_context = session_client(WEIR_TLS_VERSION_DEFAULT);
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = world->server_context};
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .tls = &tls}};
    struct weir_address address;
    expect_ok(weir_start_server(loop, session_echo, "127.0.0.1", 0, &options,
                                &world->server));
    expect(weir_server_get_socket(world->server, 0, &address) >= 0);
    world->port = ntohs(address.storage.inet.sin_port);
}

static void session_close(struct world *world)
{
    weir_server_close(world->server);
    expect_eq(weir_server_wait_closed(world->server), 0);
    weir_server_free(world->server);
    weir_tls_context_unref(world->server_context);
    weir_tls_context_unref(world->client_context);
}

/* Connects, exchanges data and ends. Returns whether a session was resumed.
 * *ret is the new session, or NULL with the reason in *ret_err. */
static bool session_talk(struct world *world,
                         const struct weir_tls_settings *tls,
                         weir_tls_session **ret, int *ret_err)
{
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect), .tls = tls}};
    struct weir_extra_info info = {.size = sizeof(info)};
    weir_reader *reader;
    weir_writer *writer;
    char text[8];
    expect_ok(weir_open_connection(world->loop, "127.0.0.1", world->port,
                                   &options, &reader, &writer));
    weir_transport *t = weir_writer_get_transport(writer);
    expect_eq(weir_writer_write(writer, "hello", 5), 0);
    expect_eq(weir_reader_readexactly(reader, text, 5), 5);
    expect_eq(weir_transport_get_extra_info(t, "tls_resumed", &info), 0);
    *ret = NULL;
    *ret_err = weir_tls_get_session(t, ret);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
    return info.number == 1;
}

static bool session_resumes(struct world *world,
                            const struct weir_tls_settings *tls)
{
    weir_tls_session *session;
    int err;
    const bool resumed = session_talk(world, tls, &session, &err);
    expect_eq(err, 0);
    weir_tls_session_unref(session);
    return resumed;
}

static struct weir_tls_settings session_settings(const struct world *world)
{
    return (struct weir_tls_settings){.size = sizeof(struct weir_tls_settings),
                                      .context = world->client_context,
                                      .server_hostname = "localhost"};
}

static void session_run(task_body_fn *body)
{
    tls_require();
    task_run(body);
}

UNIT(tls_session, a_client_resumes_a_session)
{
    struct world world;
    weir_tls_session *session;
    int err;
    session_open(&world, loop, false);
    struct weir_tls_settings tls = session_settings(&world);
    cr_assert(!session_talk(&world, &tls, &session, &err));
    expect_eq(err, 0);

    tls.session = session;
    cr_assert(session_resumes(&world, &tls));
    cr_assert(session_resumes(&world, &tls), "it is good more than once");

    weir_tls_session *next;
    cr_assert(session_talk(&world, &tls, &next, &err));
    expect_eq(err, 0);
    weir_tls_session_unref(session);
    tls.session = next;
    cr_assert(session_resumes(&world, &tls), "and so is one that it gave");
    weir_tls_session_unref(next);
    session_close(&world);
}

UNIT(tls_session, a_session_is_for_its_context_and_the_name_that_was_verified)
{
    struct world world;
    weir_tls_session *session;
    int err;
    session_open(&world, loop, false);
    struct weir_tls_settings tls = session_settings(&world);
    cr_assert(!session_talk(&world, &tls, &session, &err));
    tls.session = session;

    tls.server_hostname = "127.0.0.1"; /* also in the certificate */
    cr_assert(!session_resumes(&world, &tls), "another name");
    tls.server_hostname = NULL;
    tls.no_hostname_check = true;
    cr_assert(!session_resumes(&world, &tls), "no name");
    tls.no_hostname_check = false;
    tls.server_hostname = "LocalHost";
    cr_assert(session_resumes(&world, &tls), "the case of a name is nothing");

    weir_tls_context *other = session_client(WEIR_TLS_VERSION_DEFAULT);
    tls.context = other;
    cr_assert(!session_resumes(&world, &tls), "another context");
    weir_tls_context_unref(other);
    weir_tls_session_unref(session);
    session_close(&world);
}

/* A session that verified no name must not be used instead of one that did. */
UNIT(tls_session, a_session_without_a_verified_name_does_not_stand_for_one)
{
    struct world world;
    weir_tls_session *session;
    int err;
    session_open(&world, loop, false);
    struct weir_tls_settings tls = session_settings(&world);
    tls.no_hostname_check = true;
    cr_assert(!session_talk(&world, &tls, &session, &err));
    tls.session = session;
    cr_assert(session_resumes(&world, &tls));

    tls.no_hostname_check = false;
    cr_assert(!session_resumes(&world, &tls));
    weir_tls_session_unref(session);
    session_close(&world);
}

UNIT(tls_session, a_server_that_does_not_know_a_session_makes_a_whole_handshake)
{
    struct world first;
    struct world second;
    weir_tls_session *session;
    int err;
    session_open(&first, loop, false);
    session_open(&second, loop, false);
    struct weir_tls_settings tls = session_settings(&first);
    cr_assert(!session_talk(&first, &tls, &session, &err));

    tls.session = session;
    cr_assert(!session_resumes(&second, &tls), "its keys are others");
    weir_tls_session_unref(session);
    session_close(&first);
    session_close(&second);
}

UNIT(tls_session, without_tickets_and_by_tls_12_there_is_no_session)
{
    struct world world;
    weir_tls_session *session;
    int err;
    session_open(&world, loop, true);
    struct weir_tls_settings tls = session_settings(&world);
    cr_assert(!session_talk(&world, &tls, &session, &err));
    expect_eq(err, -EAGAIN);
    cr_assert_null(session);
    session_close(&world);

    session_open(&world, loop, false);
    weir_tls_context *old = session_client(WEIR_TLS_1_2);
    tls.context = old;
    cr_assert(!session_talk(&world, &tls, &session, &err));
    expect_eq(err, -EOPNOTSUPP);
    cr_assert_null(session);
    weir_tls_context_unref(old);

    session_close(&world);
}
