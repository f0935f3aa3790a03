/*
 * start_tls of transports: what is refused, and how a failing handshake ends.
 *
 * Each end is reported by done and by connection_lost, once, with the same
 * error.
 */
#include "tests/contract/starting_rig.h"

#include <fcntl.h>
#include <weir/connect.h>
#include <weir/pipe.h>
#include <weir/sendfile.h>
#include <weir/start_tls.h>

static void expect_failure(const struct side *side, int err)
{
    expect_eq(side->done_count, 1);
    expect_eq(side->done_err, err, "%s", weir_strerror(side->done_err));
    expect(strcmp(side->notes, "made done lost") == 0);
    expect_eq(side->lost_err, err == -ECANCELED ? 0 : err);
    expect(weir_transport_is_closing(side->t));
}

STARTING(start_tls_end, arguments_that_make_no_sense_are_refused, s)
{
    struct weir_tls_settings *tls = &s->client_tls;
    weir_transport *t = s->client.t;

    expect_eq(weir_transport_start_tls(t, tls, NULL, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_transport_start_tls(t, tls, NULL, NULL, NULL, NULL),
              -EINVAL);
    tls->server_hostname = NULL;
    expect_eq(starting_try(&s->client, NULL, 0), -EINVAL);
    tls->context = NULL;
    expect_eq(starting_try(&s->client, NULL, 0), -EINVAL);

    expect(t == s->client.t);
    starting_write(&s->client, "plain");
    starting_wait_received(&s->server, 5);
    starting_end(s);
    expect(strcmp(s->client.notes, "made lost") == 0);
}

STARTING(start_tls_end, there_is_none_after_an_end, s)
{
    expect_eq(weir_transport_write_eof(s->client.t), 0);
    expect_eq(starting_try(&s->client, NULL, 0), -ESHUTDOWN);
    starting_wait_note(&s->server, "eof");
    expect(strcmp(s->server.notes, "made eof") == 0);
    expect_eq(starting_try(&s->server, NULL, 0), WEIR_EPEERCLOSED);
    expect_eq(weir_transport_close(s->server.t), 0);
    expect_eq(starting_try(&s->server, NULL, 0), -ESHUTDOWN);
    starting_end(s);
    expect_eq(starting_try(&s->server, NULL, 0), -ESHUTDOWN);
}

static void file_is_sent(void *arg, weir_transport *t, int err, uint64_t bytes)
{
    expect_eq(err, 0);
    *(bool *)arg = true;
}

STARTING(start_tls_end, there_is_none_while_a_file_is_sent, s)
{
    bool is_sent = false;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    expect(fd >= 0);
    expect_ok(weir_transport_sendfile(s->client.t, fd, 0, 100, file_is_sent,
                                      &is_sent));
    expect_eq(starting_try(&s->client, NULL, 0), -EBUSY);
    RUN_UNTIL(s->loop, is_sent);
    close(fd);

    starting_wait_received(&s->server, 100);
    starting_upgrade_both(s);
    starting_end(s);
}

static int make_binding(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    static CALLBACKS(protocol, STREAM);
    *(weir_transport **)arg = weir_transport_ref(t);
    ret->protocol = &protocol;
    return 0;
}

STARTING(start_tls_end, pipes_have_no_tls, s)
{
    weir_transport *pipe_side = NULL;
    const struct weir_factory factory = {.create = make_binding,
                                         .arg = &pipe_side};
    int fds[2];
    expect_eq(pipe2(fds, O_CLOEXEC), 0);
    expect_ok(weir_connect_read_pipe(s->loop, &factory, fds[0], NULL, NULL,
                                     NULL, NULL));
    RUN_UNTIL(s->loop, pipe_side != NULL);
    starting_turns(s, 2);
    weir_transport *kept = s->client.t;
    s->client.t = pipe_side;
    expect_eq(starting_try(&s->client, NULL, 0), -EOPNOTSUPP);
    s->client.t = kept;
    expect_eq(weir_transport_abort(pipe_side), 0);
    weir_transport_unref(pipe_side);
    close(fds[1]);
    starting_end(s);
}

UNIT_IN(start_tls_end, r35__close_and_abort_give_the_handshake_up,
        starting_lone_clients, struct starting *s)
{
    starting_upgrade(&s->client);
    starting_turns(s, 5);
    if (s->over_unix) {
        expect_eq(weir_transport_close(s->client.t), 0);
    }
    expect_eq(weir_transport_abort(s->client.t), 0);

    starting_wait_lost(&s->client);

    expect_failure(&s->client, -ECANCELED);
    expect_eq(weir_transport_get_end(s->client.t), WEIR_END_ABORTED);
}

/* Bytes to be sent under TLS are not sent at all. */
UNIT_IN(start_tls_end, a_handshake_that_is_given_up_resets_its_peer,
        starting_lone_clients, struct starting *s)
{
    char text[4096];
    ssize_t len;
    starting_upgrade(&s->client);
    starting_write(&s->client, "secret");
    starting_turns(s, 5);

    expect_eq(weir_transport_close(s->client.t), 0);
    starting_wait_lost(&s->client);

    while ((len = read(s->peer, text, sizeof(text))) > 0) {
        cr_assert_null(memmem(text, (size_t)len, "secret", 6));
    }
    expect_eq(len, s->over_unix ? 0 : -1); /* a Unix socket has no reset */
    cr_assert(len == 0 || errno == ECONNRESET);
}

UNIT_IN(start_tls_end, it_can_be_given_up_at_once, starting_lone_clients,
        struct starting *s)
{
    starting_upgrade(&s->client);
    expect_eq(weir_transport_close(s->client.t), 0);

    starting_wait_lost(&s->client);

    expect_failure(&s->client, -ECANCELED);
}

UNIT_IN(start_tls_end, the_end_of_the_loop_gives_it_up, starting_lone_clients,
        struct starting *s)
{
    starting_upgrade(&s->client);
    starting_turns(s, s->over_unix ? 5 : 0);
    weir_loop_free(s->loop);
    s->loop = NULL;

    expect_failure(&s->client, -ECANCELED);
}

UNIT_IN(start_tls_end, a_silent_peer_is_given_up_in_time, starting_lone_servers,
        struct starting *s)
{
    s->server_tls.handshake_timeout_ns = 20 * RIG_MS;
    starting_upgrade(&s->server);

    starting_wait_lost(&s->server);

    expect_failure(&s->server, WEIR_ETLSTIMEOUT);
}

UNIT_IN(start_tls_end, complaint_43__a_peer_that_goes_is_told_of_once,
        starting_lone_clients, struct starting *s)
{
    starting_upgrade(&s->client);
    starting_turns(s, 5);
    expect_eq(shutdown(s->peer, SHUT_WR), 0);

    starting_wait_lost(&s->client);

    expect_failure(&s->client, WEIR_ETLSTRUNCATED);
}

UNIT_IN(start_tls_end, an_end_that_was_not_delivered_ends_the_handshake,
        starting_lone_servers, struct starting *s)
{
    expect_eq(weir_transport_pause_reading(s->server.t), 0);
    expect_eq(shutdown(s->peer, SHUT_WR), 0);
    starting_turns(s, 10);
    starting_upgrade(&s->server);

    starting_wait_lost(&s->server);

    expect_failure(&s->server, WEIR_ETLSTRUNCATED);
}

UNIT_IN(start_tls_end, a_reset_is_the_error, starting_lone_servers,
        struct starting *s)
{
    const struct linger hard = {.l_onoff = 1};
    starting_upgrade(&s->server);
    starting_turns(s, 5);
    if (!s->over_unix) {
        expect_ok(
            setsockopt(s->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
    }
    close(s->peer);
    s->peer = -1;

    starting_wait_lost(&s->server);

    expect_failure(&s->server, s->over_unix ? WEIR_ETLSTRUNCATED : -ECONNRESET);
}

STARTING(start_tls_end, a_wrong_name_is_told_to_both_sides, s)
{
    s->client_tls.server_hostname = "other.example";
    starting_upgrade(&s->server);
    starting_upgrade(&s->client);

    starting_wait_lost(&s->client);
    starting_wait_lost(&s->server);

    expect_failure(&s->client, WEIR_ETLSHOSTNAME);
    expect_failure(&s->server, WEIR_ETLSALERT);
}

enum {
    CROWD = 100
}; /* of these, an iteration lets a few continue their handshake */

struct crowd {
    weir_loop *loop;
    weir_transport *made[CROWD];
    int made_count;
    int lost_count;
    int time_out_count;
};

static void crowd_made(void *user, weir_transport *t)
{
    struct crowd *crowd = user;

    crowd->made[crowd->made_count++] = t;
}

static void crowd_lost(void *user, weir_transport *t, int err)
{
    struct crowd *crowd = user;

    expect_eq(err, WEIR_ETLSTIMEOUT, "%s", weir_err_name(err));
    crowd->lost_count++;
}

static int crowd_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    static CALLBACKS(protocol, STREAM, .connection_made = crowd_made,
                     .connection_lost = crowd_lost);

    *ret = (struct weir_protocol_binding){.protocol = &protocol, .user = arg};
    return 0;
}

static void crowd_done(void *arg, int err, weir_transport *t)
{
    struct crowd *crowd = arg;

    crowd->time_out_count += err == WEIR_ETLSTIMEOUT;
}

UNIT(start_tls_end, the_time_of_handshakes_that_wait_for_their_turn_runs)
{
    struct crowd crowd = {.made_count = 0};
    const struct weir_factory factory = {.create = crowd_create, .arg = &crowd};
    weir_tls_context *context = tls_context_of(false, 0);
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context = context,
                                               .server_hostname = "localhost",
                                               .handshake_timeout_ns =
                                                   2 * RIG_MS};
    int peers[CROWD];

    expect_eq(weir_loop_new(NULL, &crowd.loop), 0);
    for (int i = 0; i < CROWD; i++) {
        int fds[2];
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        peers[i] = fds[1];
        expect_ok(weir_create_connection_at(crowd.loop, &factory,
                                            weir_endpoint_fd(fds[0]), NULL,
                                            NULL, NULL, NULL));
    }
    RUN_UNTIL(crowd.loop, crowd.made_count == CROWD);
    for (int i = 0; i < CROWD; i++) {
        expect_ok(weir_transport_start_tls(crowd.made[i], &settings, NULL,
                                           crowd_done, &crowd, NULL));
    }

    RUN_UNTIL(crowd.loop, crowd.lost_count == CROWD);

    expect_eq(crowd.time_out_count, CROWD);
    expect_eq(weir_loop_free(crowd.loop), 0);
    weir_tls_context_unref(context);
    for (int i = 0; i < CROWD; i++) {
        close(peers[i]);
    }
}
