/*
 * A SOCKS5 proxy (RFC 1928): connects to the address or name that the client
 * requests, and relays. It has no authentication, so it listens on the loopback
 * address only.
 * Usage: socks5_server [PORT], and curl --socks5-hostname 127.0.0.1:PORT URL
 */
#include "serve.h"
#include "socks_reply.h"
#include "socks_request.h"

static const struct weir_open_options connecting = {
    .size = sizeof(connecting), .connect.timeout_ns = WEIR_SECONDS(10)};

static const struct weir_relay_options relaying = {
    .size = sizeof(relaying),
    .idle_ns = WEIR_SECONDS(60 * 60),
    .half_closed_ns = WEIR_SECONDS(60)};

/* Reads the methods and the request. Returns 0 and sets *ret to the target.
 * Otherwise returns a reply code that refuses the request, or an error. */
static int greet(weir_reader *reader, weir_writer *client,
                 struct socks_target *ret)
{
    int method = read_methods(reader);
    if (method < 0) {
        return method;
    }
    const uint8_t chosen[] = {SOCKS_VERSION, (uint8_t)method};
    int error = weir_writer_write(client, chosen, sizeof(chosen));
    if (error < 0 || method == SOCKS_NO_METHOD) {
        return error < 0 ? error : -EPROTO;
    }
    return read_request(reader, ret);
}

static int talk(void *arg, weir_reader *reader, weir_writer *client)
{
    weir_loop *loop = weir_writer_get_loop(client);
    struct socks_target target;
    struct weir_timeout limit;
    weir_writer *writer;
    (void)arg;
    weir_timeout_begin(loop, &limit, WEIR_SECONDS(10));
    int result = (int)weir_timeout_end(&limit, greet(reader, client, &target));
    if (result != 0) {
        return result > 0 ? say_reply(client, (uint8_t)result, NULL) : 0;
    }
    result = weir_open_connection(loop, target.host, target.port, &connecting,
                                  NULL, &writer);
    if (result < 0) {
        return say_reply(client, reply_of(result), NULL);
    }
    result = say_reply(client, 0, writer);
    if (result == 0) {
        result = weir_writer_relay(client, writer, &relaying, NULL);
    }
    weir_writer_unref(writer);
    return 0; /* both sides have seen the end */
}

int main(int argc, char **argv)
{
    return serve(talk, argc > 1 ? argv[1] : NULL);
}
