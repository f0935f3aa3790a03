/*
 * A key-value server with a line protocol: SET KEY VALUE, GET KEY, DEL KEY,
 * QUIT. A client that sends nothing for five seconds, or a line that is too
 * long, gets an error, and the connection is closed.
 * Usage: kv_server [PORT], and nc 127.0.0.1 PORT
 */
#include "kv_store.h"
#include "serve.h"

static struct kv_entry store[KV_KEYS];

static ssize_t read_line(weir_loop *loop, weir_reader *reader, char *line)
{
    struct weir_timeout limit;
    weir_timeout_begin(loop, &limit, WEIR_SECONDS(5));
    ssize_t len = weir_reader_readline(reader, line, KV_LINE - 1);
    len = weir_timeout_end(&limit, len);
    line[len > 0 ? len : 0] = '\0';
    return len;
}

static int say(weir_writer *writer, const char *answer)
{
    int error = weir_writer_write(writer, answer, strlen(answer));

    return error < 0 ? error : weir_writer_drain(writer);
}

/* Sends the reason to a client that was too slow or whose line was too long.
 * Returns all other errors. */
static int say_goodbye(weir_writer *writer, int error)
{
    switch (error) {
    case -ETIMEDOUT:
        return say(writer, "ERROR too slow\n");
    case WEIR_ELIMIT:
        return say(writer, "ERROR line too long\n");
    default:
        return error;
    }
}

static int talk(void *arg, weir_reader *reader, weir_writer *writer)
{
    weir_loop *loop = weir_writer_get_loop(writer);
    int error = 0;

    (void)arg;
    while (error >= 0) {
        char line[KV_LINE];
        ssize_t len = read_line(loop, reader, line);
        if (len <= 0) {
            return say_goodbye(writer, (int)len);
        }
        if (line[len - 1] != '\n') {
            return 0; /* the client ended its stream within a request */
        }
        const char *answer = "ERROR not text\n";
        if (strlen(line) == (size_t)len) {
            answer = kv_answer(store, line);
        }
        if (!answer) {
            return 0;
        }
        error = say(writer, answer);
    }
    return error;
}

int main(int argc, char **argv)
{
    return serve(talk, argc > 1 ? argv[1] : NULL);
}
