/*
 * A server of streams and its clients on the fake machine; see served.h.
 *
 * The handler echoes until the end; a client
 * is a peer that the test plays.
 */
#include "tests/streams/served.h"

int handlers;

int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char buf[256];
    ssize_t len;
    handlers++;
    while ((len = weir_reader_read(reader, buf, sizeof(buf))) > 0) {
        if (weir_writer_write(writer, buf, (size_t)len) < 0) {
            break;
        }
    }
    handlers--;
    return (int)len;
}

weir_server *start(weir_client_connected_fn *handler,
                   const struct weir_start_server_options *options)
{
    weir_server *server = NULL;
    expect_ok(
        weir_start_server(loop, handler, "127.0.0.1", 0, options, &server));
    cr_assert_not_null(server);
    return server;
}

struct fake_peer *connect_to(const struct weir_address *address)
{
    return fake_connect(&address->storage.any, address->len);
}

struct fake_peer *call_server(weir_server *server)
{
    struct weir_address address;
    cr_assert_geq(weir_server_get_socket(server, 0, &address), 0);
    struct fake_peer *peer = connect_to(&address);
    cr_assert_not_null(peer);
    nap();
    return peer;
}

void expect_echo(struct fake_peer *peer, const char *text)
{
    char buf[64] = "";
    const ssize_t len = (ssize_t)strlen(text);
    cr_assert_eq(fake_peer_write(peer, text, (size_t)len), len);
    nap();
    cr_assert_eq(fake_peer_read(peer, buf, sizeof(buf)), len);
    cr_assert_str_eq(buf, text);
}
