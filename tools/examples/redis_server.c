/*
 * A server for redis-cli and redis-benchmark: strings under keys, in memory.
 * Requests may be pipelined; their replies are sent together.
 * Usage: redis_server [PORT], and redis-cli -p PORT
 */
#include "redis_commands.h"
#include "redis_request.h"
#include "serve.h"

#include <strings.h>

static const struct command {
    const char *name;
    size_t least; /* arguments, including the name */
    size_t most;
    command_fn *run;
} commands[] = {
    {"get", 2, 2, get},   {"set", 3, 3, set},
    {"incr", 2, 2, incr}, {"del", 2, REDIS_WORDS, del},
    {"ping", 1, 2, ping}, {"command", 1, REDIS_WORDS, describe},
    {"quit", 1, 1, quit},
};

static int answer(weir_writer *writer, const struct redis_request *r)
{
    struct redis_word name = redis_word(r, 0);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        if (strlen(c->name) == name.len &&
            strncasecmp(c->name, name.data, name.len) == 0) {
            return r->count >= c->least && r->count <= c->most
                       ? c->run(writer, r)
                       : say_refusal(writer, "wrong number of arguments for '",
                                     c->name, "' command");
        }
    }
    return say_refusal(writer, "unknown command", "", "");
}

/* Reads a request and replies to it. Returns 0, 1 to end the connection, or an
 * error. */
static int converse(weir_reader *reader, weir_writer *writer,
                    struct redis_request *request)
{
    ssize_t got = read_request(reader, request);
    if (got == -EBADMSG || got == WEIR_ELIMIT) {
        say_refusal(writer, "Protocol error: ",
                    got == WEIR_ELIMIT ? "too long a line" : request->refusal,
                    "");
        return 1;
    }
    if (got <= 0) {
        return got == 0 ? 1 : (int)got;
    }
    int result = request->count > 0 ? answer(writer, request) : 0;
    return result == 0 ? weir_writer_drain(writer) : result;
}

static int talk(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct redis_request request = {.bytes = NULL};
    int result = 0;
    (void)arg;
    while (result == 0) {
        result = converse(reader, writer, &request);
    }
    free(request.bytes);
    return result < 0 ? result : 0; /* returning closes the connection */
}

int main(int argc, char **argv)
{
    return serve(talk, argc > 1 ? argv[1] : NULL);
}
