/*
 * asyncio's "Register an open socket to wait for data using streams": one end
 * of a socketpair becomes a stream, the other is written to. A connected TCP
 * socket is registered in the same way.
 */
#include <err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir.h>

static void send_data(void *fd)
{
    if (write(*(int *)fd, "abc", 3) != 3) { /* as if from the network */
        err(1, "write");
    }
}

static int wait_for_data(weir_loop *loop, void *pair)
{
    int *fds = pair;
    weir_reader *reader;
    weir_writer *writer;
    struct weir_buf data;
    struct weir_open_options options = {.size = sizeof(options)};
    int error = weir_open_connection_at(loop, weir_endpoint_fd(fds[0]),
                                        &options, &reader, &writer);
    if (error < 0) {
        return error;
    }
    error = weir_loop_call_soon(loop, send_data, &fds[1], NULL);
    if (error == 0) {
        ssize_t len = weir_reader_read_view(reader, 100, &data);
        if (len > 0) {
            printf("received: %.*s\n", (int)len, (const char *)data.data);
        }
        error = len < 0 ? (int)len : 0;
    }
    weir_writer_unref(writer); /* the last reference closes the stream */
    return error;
}

int main(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        err(1, "socketpair");
    }
    int error = weir_run(NULL, wait_for_data, pair);
    close(pair[1]);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
