/*
 * A proxy with one target: relays each connection to a host and port, including
 * half-closes, resets and back-pressure. Prints a line when a connection ends.
 * Usage: tcp_relay PORT HOST TARGET_PORT
 */
#include "serve.h"

struct target {
    const char *host;
    uint16_t port;
};

static const struct weir_open_options connecting = {
    .size = sizeof(connecting), .connect.timeout_ns = WEIR_SECONDS(10)};

/* Time limits without traffic: a day, but a minute after one side has ended its
 * stream. */
static const struct weir_relay_options relaying = {
    .size = sizeof(relaying),
    .idle_ns = WEIR_SECONDS(24 * 60 * 60),
    .half_closed_ns = WEIR_SECONDS(60)};

static void tell(const struct weir_relay_record *record, int error)
{
    static const char *const parties[] = {"the client", "the target", "a limit",
                                          "the proxy"};
    printf("%llu bytes there, %llu back, ended by %s: %s\n",
           (unsigned long long)record->a_bytes,
           (unsigned long long)record->b_bytes, parties[record->ended_by],
           weir_strerror(error));
    fflush(stdout);
}

static int handler(void *arg, weir_reader *reader, weir_writer *client)
{
    const struct target *target = arg;
    weir_loop *loop =
        weir_transport_get_loop(weir_writer_get_transport(client));
    struct weir_relay_record record = {.size = sizeof(record)};
    weir_writer *upstream;
    (void)reader;
    int error = weir_open_connection(loop, target->host, target->port,
                                     &connecting, NULL, &upstream);
    if (error < 0) {
        warnx("%s: %s", target->host, weir_strerror(error));
        weir_writer_abort(client); /* a reset, not an end of stream */
        return 0;
    }
    error = weir_writer_relay(client, upstream, &relaying, &record);
    weir_writer_unref(upstream);
    if (record.start_ns == 0) {
        return error; /* the relay has not started */
    }
    tell(&record, error);
    return 0;
}

int main(int argc, char **argv)
{
    struct target target;
    if (argc != 4) {
        errx(2, "usage: tcp_relay PORT HOST TARGET_PORT");
    }
    target = (struct target){argv[2], (uint16_t)atoi(argv[3])};
    serve_options.arg = &target;
    return serve(handler, argv[1]);
}
