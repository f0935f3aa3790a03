/*
 * start_tls of a transport with a buffered protocol: the protocol stays
 * buffered, and the memory that it offers afterwards only gets decrypted bytes.
 *
 * TLS bytes that are already in the protocol's memory are copied by the call.
 */
#include "tests/contract/starting_rig.h"

enum { ROOM = 4096, BULK = 100000 };

static struct {
    uint8_t memory[ROOM];
    size_t size;
    bool is_out;
    int releases;
} room;

static int get_room(void *user, weir_transport *t, size_t hint, void **ret_buf,
                    size_t *ret_size)
{
    const struct side *side = user;
    expect(t == side->t);
    expect(!room.is_out);
    room.is_out = true;
    *ret_buf = room.memory;
    *ret_size = room.size;
    return 0;
}

static int room_is_filled(void *user, weir_transport *t, size_t len)
{
    struct side *side = user;
    const struct weir_buf buf = {.data = room.memory, .len = len};
    expect(t == side->t);
    expect(room.is_out);
    expect(len > 0 && len <= room.size);
    room.is_out = false;
    starting_note(side, "data");
    if (side->data_received) {
        return side->data_received(side, &buf);
    }
    expect(side->received_len + len <= STARTING_ROOM);
    memcpy(side->received + side->received_len, room.memory, len);
    side->received_len += len;
    return 0;
}

static void release_room(void *user, void *buf)
{
    expect(buf == room.memory);
    expect(room.is_out);
    room.is_out = false;
    room.releases++;
}

static void make_buffered(struct starting *s, size_t size, bool promises)
{
    static struct weir_protocol protocol;
    struct weir_protocol_binding binding =
        weir_transport_get_protocol(s->server.t);
    room.size = size;
    room.is_out = false;
    room.releases = 0;
    protocol = *binding.protocol;
    protocol.kind = WEIR_PROTOCOL_BUFFERED;
    protocol.data_received = NULL;
    protocol.get_buffer = get_room;
    protocol.buffer_updated = room_is_filled;
    protocol.release_buffer = promises ? release_room : NULL;
    binding.protocol = &protocol;
    expect_eq(weir_transport_set_protocol(s->server.t, &binding, NULL, 0), 0);
}

static void expect_buffered_talk(struct starting *s)
{
    const struct weir_protocol_binding binding =
        weir_transport_get_protocol(s->server.t);
    expect_eq(binding.protocol->kind, WEIR_PROTOCOL_BUFFERED);
    expect_eq(s->server.done_err, 0);
    expect_eq(s->client.done_err, 0);
    starting_write(&s->client, "sealed");
    starting_wait_received(&s->server, 6);
    expect(starting_has(&s->server, "sealed"));
    starting_write(&s->server, "too");
    starting_wait_received(&s->client, 3);
    starting_end(s);
    expect(!room.is_out);
    expect_eq(s->server.lost_err, 0);
}

static int start_at_the_newline(struct side *side, const struct weir_buf *buf)
{
    const uint8_t *end = memchr(buf->data, '\n', buf->len);
    expect(end != NULL);
    const size_t len = (size_t)(end + 1 - buf->data);
    const struct weir_buf rest = {.data = end + 1, .len = buf->len - len};
    side->data_received = NULL;
    side->rig->wanted = rest.len;
    expect_eq(starting_try(side, &rest, 1), 0);
    memset(room.memory, 0, sizeof(room.memory));
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
    return s->wanted;
}

STARTING(start_tls_buffered, a_client_hello_in_the_protocols_memory_is_used, s)
{
    make_buffered(s, ROOM, false);
    expect(start_with_the_command(s) > 100);

    expect_buffered_talk(s);
}

STARTING(start_tls_buffered, a_hello_may_be_in_part_in_the_protocols_memory, s)
{
    make_buffered(s, 50, false); /* the rest is in the transport */
    expect_eq(start_with_the_command(s), 50 - strlen("STARTTLS\n"));

    expect_buffered_talk(s);
}

STARTING(start_tls_buffered, memory_that_the_kernel_fills_is_used_too, s)
{
    make_buffered(s, ROOM, true);
    expect(start_with_the_command(s) > 100);

    expect_buffered_talk(s);
}

UNIT_IN(start_tls_buffered,
        complaint_35__plain_text_in_the_protocols_memory_fails_the_handshake,
        starting_lone_servers, struct starting *s)
{
    static const char text[] = "STARTTLS\nMAIL FROM:<x@example>\r\n";
    make_buffered(s, ROOM, false);
    s->server.data_received = start_at_the_newline;
    starting_peer_send(s, text, sizeof(text) - 1);

    starting_wait_lost(&s->server);

    expect(strcmp(s->server.notes, "made data done lost") == 0);
    expect_eq(s->server.done_err, WEIR_ETLSPROTOCOL);
    expect_eq(s->server.lost_err, WEIR_ETLSPROTOCOL);
}

/* The kernel has the memory, and may no longer fill it with ciphertext. */
STARTING(start_tls_buffered, memory_that_was_promised_comes_back, s)
{
    make_buffered(s, ROOM, true);
    starting_turns(s, 5);
    const bool was_out = room.is_out;
    starting_upgrade_both(s);

    expect(!was_out || room.releases > 0);
    expect_buffered_talk(s);
}

STARTING(start_tls_buffered, records_are_delivered_in_small_pieces, s)
{
    static uint8_t bytes[BULK];
    for (size_t i = 0; i < BULK; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    make_buffered(s, 7, false);
    starting_upgrade_both(s);
    expect_eq(weir_transport_write(s->client.t, bytes, BULK), 0);

    starting_wait_received(&s->server, BULK);

    expect(memcmp(s->server.received, bytes, BULK) == 0);
    starting_end(s);
}

static int refuse_memory(void *user, weir_transport *t, size_t hint,
                         void **ret_buf, size_t *ret_size)
{
    const struct side *side = user;
    expect(t == side->t);
    return -ENOBUFS;
}

STARTING(start_tls_buffered, a_protocol_without_memory_ends_the_connection, s)
{
    static struct weir_protocol protocol;
    make_buffered(s, ROOM, false);
    starting_upgrade_both(s);
    struct weir_protocol_binding binding =
        weir_transport_get_protocol(s->server.t);
    protocol = *binding.protocol;
    protocol.get_buffer = refuse_memory;
    binding.protocol = &protocol;
    expect_eq(weir_transport_set_protocol(s->server.t, &binding, NULL, 0), 0);
    starting_write(&s->client, "sealed");

    starting_wait_lost(&s->server);

    expect_eq(s->server.lost_err, -ENOBUFS);
    starting_wait_lost(&s->client);
}
