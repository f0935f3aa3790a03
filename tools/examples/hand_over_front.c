/*
 * Accepts TCP connections and hands each over to another process, which serves
 * it (hand_over_worker). No data passes through this process. SIGINT or SIGTERM
 * ends it.
 * Usage: hand_over_front PATH (or @NAME)
 */
#include <err.h>
#include <stdio.h>
#include <unistd.h>
#include <weir.h>

static void hand_over(void *writer, weir_server *server, int fd)
{
    int error = weir_writer_send_fds(writer, "+", 1, &fd, 1);
    close(fd); /* the writer has a duplicate */
    if (error < 0) {
        weir_server_close(server);
    }
}

static int accept_clients(weir_loop *loop, weir_writer *writer)
{
    struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.accepted = hand_over, .accepted_arg = writer}};
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    weir_server *server;
    int error =
        weir_start_server(loop, NULL, "127.0.0.1", 0, &options, &server);
    if (error < 0) {
        return error;
    }
    weir_server_get_socket(server, 0, &address);
    printf("serving on %s\n",
           weir_address_format(&address, text, sizeof(text)));
    fflush(stdout);
    error = weir_server_serve_forever(server);
    weir_server_free(server);
    return error;
}

static int serve(weir_loop *loop, void *path)
{
    weir_writer *writer;
    int error = weir_open_unix_connection(loop, path, NULL, NULL, &writer);
    if (error == 0) {
        error = accept_clients(loop, writer);
        weir_writer_unref(writer);
    }
    return error;
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
