/*
 * A chat: the first line of a client is its name, each later line is sent to
 * all other clients. A client that reads too slowly is disconnected.
 * Usage: chat_server [PORT], and nc 127.0.0.1 PORT for each member
 */
#include "serve.h"

#include <string.h>
#include <sys/queue.h>

#define SLOW_BYTES (1024 * 1024)
#define LINE_SIZE  1000

struct member {
    LIST_ENTRY(member) link;
    weir_writer *writer;
    char name[32];
};
static LIST_HEAD(, member) members;

static void tell_others(const struct member *from, const char *what)
{
    char text[LINE_SIZE + sizeof(from->name)];
    int len = snprintf(text, sizeof(text), "%s%s\n", from->name, what);
    for (struct member *to = members.lh_first; to; to = to->link.le_next) {
        if (to == from) {
            continue;
        }
        weir_writer_write(to->writer, text, (size_t)len);
        if (weir_writer_get_write_buffer_size(to->writer) > SLOW_BYTES) {
            weir_writer_abort(to->writer); /* the read in its task then fails */
        }
    }
}

static ssize_t read_line(weir_reader *reader, char *line, size_t size)
{
    ssize_t len = weir_reader_readline(reader, line, size - 1);
    line[len > 0 ? len : 0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return len;
}

static int chat(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct member self = {.writer = writer}; /* on the stack of its task */
    char line[LINE_SIZE] = ": ";
    ssize_t len = read_line(reader, self.name, sizeof(self.name));
    (void)arg;
    if (len <= 0) {
        return (int)len;
    }
    LIST_INSERT_HEAD(&members, &self, link);
    tell_others(&self, " has joined");
    while ((len = read_line(reader, line + 2, sizeof(line) - 2)) > 0) {
        tell_others(&self, line);
    }
    LIST_REMOVE(&self, link);
    tell_others(&self, " has left");
    return (int)len;
}

/* Runs before connections are closed, so this message is still sent. */
static int say_goodbye(weir_loop *loop, void *arg)
{
    const struct member chat = {.name = "the chat"};
    struct weir_waitable stop = weir_waitable_stop(loop);
    (void)arg;
    if (weir_wait_any(loop, &stop, 1) == 0) {
        tell_others(&chat, " ends");
    }
    return 0;
}

int main(int argc, char **argv)
{
    serve_beside = say_goodbye;
    return serve(chat, argc > 1 ? argv[1] : NULL);
}
