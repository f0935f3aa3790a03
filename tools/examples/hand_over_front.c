/*
 * Accepts TCP connections and hands each to another process, which serves it
 * (hand_over_worker): no byte passes here. SIGINT or SIGTERM ends it.
 * Usage: hand_over_front PATH (or @NAME)
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <weir.h>

static int listen_somewhere(void)
{
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (weir_address_parse("127.0.0.1", 0, &address) < 0 ||
        bind(fd, &address.storage.any, address.len) || listen(fd, 1024) ||
        getsockname(fd, &address.storage.any, &address.len) < 0) {
        err(1, "listen");
    }
    printf("serving on %s\n",
           weir_address_format(&address, text, sizeof(text)));
    fflush(stdout);
    return fd;
}

static int hand_over(weir_loop *loop, weir_writer *writer, int listener)
{
    int error = 0;

    while (error >= 0) {
        int fd = weir_sock_accept(loop, listener, NULL);
        if (fd < 0) {
            return fd;
        }
        error = weir_writer_send_fds(writer, "+", 1, &fd, 1);
        close(fd); /* the writer has a duplicate */
        if (error >= 0) {
            error = weir_writer_flush(writer);
        }
    }
    return error;
}

static int serve(weir_loop *loop, void *path)
{
    weir_writer *writer;
    int error = weir_open_unix_connection(loop, path, NULL, NULL, &writer);
    if (error == 0) {
        int listener = listen_somewhere();
        error = hand_over(loop, writer, listener);
        close(listener);
        weir_writer_unref(writer);
    }
    return error == -ECANCELED ? 0 : error;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        errx(2, "usage: hand_over_front PATH");
    }
    int error = weir_run(NULL, serve, argv[1]);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
