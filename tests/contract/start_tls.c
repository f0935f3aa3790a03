/*
 * start_tls of transports: what crosses the border between plain text and TLS,
 * and what must not.
 *
 * Bytes that the peer has sent belong to TLS wherever they are when it starts:
 * they are used by the handshake, or end it.
 */
#include "tests/contract/starting_rig.h"
#include "tests/marks.h"

#include <weir/sendfile.h>
#include <weir/start_tls.h>
#include <weir/task.h>

#define BULK (1u << 19)

static void expect_tls(const struct side *side)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    expect_eq(weir_transport_get_extra_info(side->t, "tls_version", &info), 0);
    expect(strncmp(info.text, "TLSv1.", 6) == 0);
}

STARTING(start_tls, both_sides_talk_plain_and_then_under_tls, s)
{
    starting_write(&s->client, "hello");
    starting_wait_received(&s->server, 5);
    starting_write(&s->server, "welcome");
    starting_wait_received(&s->client, 7);

    starting_upgrade_both(s);
    starting_write(&s->client, " sealed");
    starting_wait_received(&s->server, 12);
    starting_write(&s->server, " too");
    starting_wait_received(&s->client, 11);

    expect(starting_has(&s->server, "hello sealed"));
    expect(starting_has(&s->client, "welcome too"));
    expect_tls(&s->client);
    expect_tls(&s->server);
    starting_end(s);
    expect(strcmp(s->client.notes, "made data done data lost") == 0);
    expect_eq(s->client.lost_err, 0);
    expect_eq(weir_transport_get_end(s->client.t), WEIR_END_CLOSED);
    expect(strcmp(s->server.notes, "made data done data lost") == 0);
    expect_eq(s->server.lost_err, 0);
}

STARTING(start_tls, it_works_with_tls_1_2, s)
{
    weir_tls_context *old = tls_context_of(false, 12);
    struct weir_extra_info info = {.size = sizeof(info)};
    s->client_tls.context = old;
    starting_upgrade_both(s);
    weir_tls_context_unref(old);

    starting_write(&s->server, "sealed");
    starting_wait_received(&s->client, 6);

    expect_ok(weir_transport_get_extra_info(s->client.t, "tls_version", &info));
    expect(strcmp(info.text, "TLSv1.2") == 0);
    starting_end(s);
}

STARTING(start_tls, the_first_bytes_under_tls_come_after_done, s)
{
    starting_upgrade(&s->server);
    starting_upgrade(&s->client);
    starting_write(&s->client, "at once");
    starting_wait_received(&s->server, 7);

    expect(strcmp(s->server.notes, "made done data") == 0);
    expect_eq(s->client.done_err, 0);
    starting_end(s);
}

static void sent(void *arg, weir_transport *t, int err, uint64_t bytes)
{
}

STARTING(start_tls, the_old_transport_is_refused_and_answers_questions, s)
{
    weir_transport *old = s->client.plain;
    const struct weir_protocol_binding binding =
        weir_transport_get_protocol(old);
    const struct weir_timeouts limits = {.size = sizeof(limits)};
    const struct iovec iov = {.iov_base = (void *)(uintptr_t) "x",
                              .iov_len = 1};
    struct weir_address addresses[2];
    starting_upgrade_both(s);

    expect_eq(weir_transport_write(old, "x", 1), WEIR_EREPLACED);
    expect_eq(weir_transport_writelines(old, &iov, 1), WEIR_EREPLACED);
    expect_eq(weir_transport_write_ref(old, "x", 1, NULL, NULL),
              WEIR_EREPLACED);
    expect_eq(weir_transport_write_eof(old), WEIR_EREPLACED);
    expect_eq(weir_transport_pause_reading(old), WEIR_EREPLACED);
    expect_eq(weir_transport_resume_reading(old), WEIR_EREPLACED);
    expect_eq(weir_transport_set_read_buffer_limit(old, 0), WEIR_EREPLACED);
    expect_eq(set_marks(old, 1, 1), WEIR_EREPLACED);
    expect_eq(weir_transport_set_write_hard_limit(old, 0), WEIR_EREPLACED);
    expect_eq(weir_transport_set_timeouts(old, &limits), WEIR_EREPLACED);
    expect_eq(weir_transport_set_protocol(old, &binding, NULL, 0),
              WEIR_EREPLACED);
    expect_eq(weir_transport_set_busy(old, true), WEIR_EREPLACED);
    expect_eq(weir_transport_sendfile(old, 0, 0, 0, sent, NULL),
              WEIR_EREPLACED);
    expect_eq(weir_transport_close(old), WEIR_EREPLACED);
    expect_eq(weir_transport_abort(old), WEIR_EREPLACED);
    expect(weir_transport_is_closing(old));
    expect(!weir_transport_is_closing(s->client.t));
    weir_transport_get_sockname(old, &addresses[0]);
    weir_transport_get_sockname(s->client.t, &addresses[1]);
    expect_eq(addresses[0].len, addresses[1].len);
    expect_eq(weir_transport_get_socket(old),
              weir_transport_get_socket(s->client.t));

    starting_write(&s->client, "whole");
    starting_wait_received(&s->server, 5);
    starting_end(s);
    expect_eq(s->client.lost_err, 0);
}

static int start_at_the_newline(struct side *side, const struct weir_buf *buf)
{
    const uint8_t *end = memchr(buf->data, '\n', buf->len);
    expect(end != NULL);
    const size_t len = (size_t)(end + 1 - buf->data);
    struct weir_buf rest[2] = {{.data = buf->data, .len = 0},
                               {.data = end + 1, .len = buf->len - len}};
    rest[1].lease = side->rig->wanted ? buf->lease : NULL;
    side->data_received = NULL;
    side->received_len = buf->len - len;
    expect_eq(starting_try(side, rest, 2), 0);
    return 0;
}

static size_t start_with_the_command(struct starting *s)
{
    s->server.data_received = start_at_the_newline;
    expect_eq(weir_transport_pause_reading(s->server.t), 0);
    starting_write(&s->client, "STARTTLS\n");
    starting_upgrade(&s->client);
    starting_wait_arrived(&s->client);
    expect_eq(weir_transport_resume_reading(s->server.t), 0);
    starting_wait_done(&s->server);
    starting_wait_done(&s->client);
    const size_t len = s->server.received_len;
    s->server.received_len = 0;
    return len;
}

STARTING(start_tls,
         complaint_34__a_client_hello_that_came_with_the_command_is_used, s)
{
    s->wanted = 1; /* under its lease */
    expect(start_with_the_command(s) > 100);

    expect_eq(s->server.done_err, 0);
    expect_eq(s->client.done_err, 0);
    starting_write(&s->client, "sealed");
    starting_wait_received(&s->server, 6);
    starting_end(s);
}

STARTING(start_tls, bytes_without_a_lease_are_copied, s)
{
    expect(start_with_the_command(s) > 100);

    expect_eq(s->server.done_err, 0);
    starting_write(&s->client, "sealed");
    starting_wait_received(&s->server, 6);
    starting_end(s);
}

STARTING(start_tls, bytes_that_were_not_delivered_are_used, s)
{
    expect_eq(weir_transport_pause_reading(s->server.t), 0);
    starting_upgrade(&s->client);
    starting_wait_arrived(&s->client);

    starting_upgrade(&s->server);
    starting_wait_done(&s->server);

    expect_eq(s->server.done_err, 0);
    starting_write(&s->client, "held");
    starting_turns(s, 20);
    expect_eq(s->server.received_len, 0);
    expect_eq(weir_transport_resume_reading(s->server.t), 0);
    starting_wait_received(&s->server, 4);
    starting_end(s);
}

enum injected_at {
    WITH_LEASE,      /* after the command, in the transport's buffer */
    WITHOUT_LEASE,   /* after the command, and copied */
    UNDELIVERED,     /* while the transport is paused */
    AFTER_CALL,      /* instead of the peer's handshake */
    IN_HANDSHAKE,    /* after the first record of the peer's handshake */
    AFTER_HANDSHAKE, /* instead of an encrypted record */
};

#define MAIL     "MAIL FROM:<x@example>\r\n"
#define INJECTED "250 injected\r\n"
#define RECORD   "\x17\3\3\0\24data in the clear..."
#define NOTIFY   "\x15\3\3\0\2\1\0" /* close_notify */

static const struct injection {
    bool to_server;
    enum injected_at at;
    const char *bytes;
    int err;
} injections[] = {
    {true, WITH_LEASE, "STARTTLS\n" MAIL, WEIR_ETLSPROTOCOL},
    {true, WITHOUT_LEASE, "STARTTLS\n" MAIL, WEIR_ETLSPROTOCOL},
    {true, UNDELIVERED, MAIL, WEIR_ETLSPROTOCOL},
    {true, AFTER_CALL, RECORD, WEIR_ETLSPROTOCOL},
    {true, IN_HANDSHAKE, MAIL, WEIR_ETLSPROTOCOL},
    {true, AFTER_HANDSHAKE, RECORD, WEIR_ETLSRECORD},
    {false, WITH_LEASE, "220 go ahead\n" INJECTED, WEIR_ETLSPROTOCOL},
    {false, WITHOUT_LEASE, "220 go ahead\n" INJECTED, WEIR_ETLSPROTOCOL},
    {false, UNDELIVERED, INJECTED, WEIR_ETLSPROTOCOL},
    {false, AFTER_CALL, INJECTED, WEIR_ETLSPROTOCOL},
    {false, IN_HANDSHAKE, RECORD, WEIR_ETLSRECORD},
    {false, AFTER_HANDSHAKE, NOTIFY, WEIR_ETLSPROTOCOL},
};

static bool injection_relay(struct starting *from, struct starting *to)
{
    uint8_t bytes[4096];
    starting_turns(from, 1);
    const ssize_t seen = recv(from->peer, bytes, sizeof(bytes), MSG_PEEK);
    const ssize_t len = seen < 5 ? 5 : 5 + bytes[3] * 256 + bytes[4];
    if (seen < len) {
        return false;
    }
    expect_eq(recv(from->peer, bytes, (size_t)len, 0), len);
    starting_peer_send(to, bytes, (size_t)len);
    return true;
}

static void injection_shake(const struct injection *row,
                            struct starting *client, struct starting *server)
{
    starting_upgrade(&client->client);
    starting_upgrade(&server->server);
    while (!injection_relay(client, server)) {
    }
    if (row->at == IN_HANDSHAKE && row->to_server) {
        return;
    }
    while (!injection_relay(server, client)) {
    }
    while (row->at == AFTER_HANDSHAKE &&
           (client->client.done_count == 0 || server->server.done_count == 0)) {
        injection_relay(client, server);
        injection_relay(server, client);
    }
}

static void inject(const struct injection *row, struct starting *client,
                   struct starting *server)
{
    struct starting *s = row->to_server ? server : client;
    struct side *side = row->to_server ? &server->server : &client->client;
    const size_t len =
        row->bytes[0] < ' ' ? 5 + (size_t)row->bytes[4] : strlen(row->bytes);
    if (row->at == UNDELIVERED) {
        expect_ok(weir_transport_pause_reading(side->t));
    } else if (row->at == AFTER_CALL) {
        starting_upgrade(side);
    } else if (row->at > AFTER_CALL) {
        injection_shake(row, client, server);
    } else {
        side->data_received = start_at_the_newline;
        s->wanted = row->at == WITH_LEASE;
    }

    starting_peer_send(s, row->bytes, len);

    if (row->at == UNDELIVERED) {
        starting_turns(s, 10);
        starting_upgrade(side);
        expect_ok(weir_transport_resume_reading(side->t));
    }
    starting_wait_lost(side);
    expect_eq(side->done_err, row->at == AFTER_HANDSHAKE ? 0 : row->err);
    expect_eq(side->lost_err, row->err);
    expect_str_eq(side->notes, row->at <= WITHOUT_LEASE ? "made data done lost"
                                                        : "made done lost");
}

UNIT(start_tls, complaint_35__twelve_injections_are_never_data)
{
    for (size_t i = 0; i < 2 * sizeof(injections) / sizeof(*injections); i++) {
        struct starting client = {.peer = -1};
        struct starting server = {.peer = -1};
        starting_open_lone(&client, i % 2, false);
        starting_open_lone(&server, i % 2, true);
        inject(&injections[i / 2], &client, &server);
        starting_close(&client);
        starting_close(&server);
    }
}

static void fill(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
}

UNIT_IN(start_tls, what_waits_as_plain_text_leaves_before_the_client_hello,
        starting_lone_clients, struct starting *s)
{
    static uint8_t bytes[BULK + 5];
    static uint8_t expected[BULK];
    size_t len = 0;
    fill(expected, BULK);
    expect_eq(weir_transport_write(s->client.t, expected, BULK), 0);
    expect(weir_transport_get_write_buffer_size(s->client.t) > 0);
    starting_upgrade(&s->client);

    while (len < sizeof(bytes)) {
        len += starting_peer_read(s, bytes + len, sizeof(bytes) - len);
    }

    expect(memcmp(bytes, expected, BULK) == 0);
    expect_eq(bytes[BULK], 22); /* a record of the handshake */
    expect_eq(bytes[BULK + 1], 3);
    expect_eq(weir_transport_abort(s->client.t), 0);
    starting_wait_lost(&s->client);
}

STARTING(start_tls, r36__writes_in_the_handshake_are_sent_under_tls, s)
{
    static uint8_t bytes[BULK];
    fill(bytes, BULK);
    starting_upgrade(&s->client);
    expect(!weir_transport_is_closing(s->client.t));
    expect_eq(weir_transport_write(s->client.t, bytes, BULK), 0);
    expect_eq(weir_transport_write_eof(s->client.t), 0);
    expect_eq(weir_transport_write(s->client.t, bytes, 1), -ESHUTDOWN);
    expect_eq(weir_transport_get_write_buffer_size(s->client.t), BULK);
    expect(strcmp(s->client.notes, "made pause") == 0);
    starting_upgrade(&s->server);

    starting_wait_received(&s->server, BULK);

    expect(memcmp(s->server.received, bytes, BULK) == 0);
    starting_wait_note(&s->server, "eof");
    starting_wait_note(&s->client, "resume");
    starting_end(s);
}

static int start_after_bulk(struct side *side, const struct weir_buf *buf)
{
    const size_t wanted = BULK - side->received_len;
    const size_t len = buf->len < wanted ? buf->len : wanted;
    struct weir_buf rest = *buf;
    memcpy(side->received + side->received_len, buf->data, len);
    side->received_len += len;
    if (len == wanted) {
        rest.data += len;
        rest.len -= len;
        side->data_received = NULL;
        expect_eq(starting_try(side, &rest, 1), 0);
    }
    return 0;
}

STARTING(start_tls, a_protocol_that_was_paused_by_plain_text_is_resumed, s)
{
    static uint8_t bytes[BULK];
    fill(bytes, BULK);
    expect_eq(set_marks(s->client.t, 4096, 1024), 0);
    expect_eq(weir_transport_write(s->client.t, bytes, BULK), 0);
    expect(strcmp(s->client.notes, "made pause") == 0);
    s->server.data_received = start_after_bulk;
    starting_upgrade(&s->client);

    starting_wait_done(&s->client);

    expect_eq(s->client.done_err, 0);
    expect(memcmp(s->server.received, bytes, BULK) == 0);
    starting_write(&s->server, "x");
    starting_wait_received(&s->client, 1);

    expect(strcmp(s->client.notes, "made pause done resume data") == 0 ||
           strcmp(s->client.notes, "made pause done data resume") == 0);
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(s->client.t);
    expect_eq((uint64_t)marks.low_bytes, 1024);
    expect_eq((uint64_t)marks.high_bytes, 4096);
    starting_end(s);
}

STARTING(start_tls, r43__tls_in_tls, s)
{
    starting_upgrade_both(s);
    weir_transport *outer = weir_transport_ref(s->client.t);
    s->client.done_count = s->server.done_count = 0;

    starting_upgrade_both(s);

    expect_eq(weir_transport_write(outer, "x", 1), WEIR_EREPLACED);
    weir_transport_unref(outer);
    starting_write(&s->client, "sealed twice");
    starting_wait_received(&s->server, 12);
    starting_write(&s->server, "so is this");
    starting_wait_received(&s->client, 10);
    starting_end(s);
    expect(strcmp(s->client.notes, "made done done data lost") == 0);
    expect_eq(s->client.lost_err, 0);
    expect(strcmp(s->server.notes, "made done done data lost") == 0);
    expect_eq(s->server.lost_err, 0);
}

STARTING(start_tls, a_second_one_waits_for_the_first, s)
{
    const struct weir_protocol_binding binding =
        weir_transport_get_protocol(s->client.t);
    starting_upgrade(&s->client);

    expect_eq(starting_try(&s->client, NULL, 0), -EBUSY);
    expect_eq(weir_transport_set_protocol(s->client.t, &binding, NULL, 0),
              -EBUSY);

    starting_upgrade(&s->server);
    starting_wait_done(&s->client);
    expect_eq(s->client.done_err, 0);
    starting_end(s);
}

static int upgrade_in_task(weir_loop *loop, void *arg)
{
    struct side *side = arg;
    const struct weir_tls_settings *tls =
        side->is_server ? &side->rig->server_tls : &side->rig->client_tls;
    weir_transport *t = NULL;
    expect_eq(weir_start_tls(side->t, tls, NULL, NULL), -EINVAL);
    int err = weir_start_tls(side->t, tls, NULL, &t);
    expect_eq(err, 0);
    expect(t != side->t);
    weir_transport_ref(t);
    weir_transport_unref(side->t);
    side->t = t;
    side->done_count++;
    return 0;
}

STARTING(start_tls, a_task_waits_for_the_handshake, s)
{
    struct side *sides[2] = {&s->client, &s->server};
    weir_transport *t;
    expect_eq(weir_start_tls(s->client.t, &s->client_tls, NULL, &t),
              WEIR_ENOTTASK);
    for (int i = 0; i < 2; i++) {
        weir_task *task;
        expect_ok(
            weir_task_spawn(s->loop, upgrade_in_task, sides[i], NULL, &task));
        weir_task_unref(task);
    }
    starting_wait_done(&s->client);
    starting_wait_done(&s->server);
    starting_write(&s->client, "sealed");
    starting_wait_received(&s->server, 6);
    starting_end(s);
}
