/*
 * The echo server on all processors: each thread has its own loop and its own
 * listener, and the kernel distributes connections among them. SIGINT or
 * SIGTERM ends all threads.
 * Usage: tcp_echo_server_threads [PORT [THREADS]]
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    int error = 0;

    (void)arg;
    while (error == 0) {
        struct weir_buf bytes;
        ssize_t len = weir_reader_take(reader, 65536, &bytes);
        if (len <= 0) {
            return (int)len;
        }
        error = weir_writer_write_buf(writer, &bytes);
        weir_buf_unref(bytes.lease);
        if (error == 0) {
            error = weir_writer_drain(writer); /* if the client is slow */
        }
    }
    return error;
}

/* The main task of each thread. */
static int serve(weir_thread *thread, void *port)
{
    static const struct weir_start_server_options options = {
        .size = sizeof(options), .server.reuse_port = true};
    weir_server *server;
    int error =
        weir_start_server(weir_thread_get_loop(thread), echo, "127.0.0.1",
                          *(uint16_t *)port, &options, &server);
    if (error < 0) {
        return error;
    }
    printf("thread %u serves\n", weir_thread_get_index(thread));
    fflush(stdout);
    error = weir_server_serve_forever(server); /* until a stop cancels it */
    weir_server_free(server);
    return error;
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8888);
    struct weir_threads_options options = {
        .size = sizeof(options),
        .thread_count = (uint32_t)(argc > 2 ? atoi(argv[2]) : 0)};
    int error = weir_threads_run(&options, serve, &port);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
