/*
 * A server of the files of a folder on weir. Each request is answered with an
 * HTTP/1.1 head and the file, by sendfile.
 *
 * Requests may arrive in parts and several at once; a connection answers them
 * one after the other. Like nginx, which it is compared with, it opens the file
 * and reads its length for each request. SIGTERM ends it.
 */
#include "bench/bench.h"
#include "bench/http.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/sendfile.h>
#include <weir/server.h>

/* Maximum number of bytes after a request that wait for its answer. */
#define REST_MAX 4096

struct conn {
    weir_transport *transport;
    struct http http;
    int fd; /* the file that is being sent, or -1 */
    bool is_paused;
    uint8_t *rest; /* bytes after the current request */
    size_t rest_at;
    size_t rest_len;
    size_t rest_capacity;
};

static struct bench_options options;
static int folder_fd;

static void check(const char *what, int err)
{
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", what, weir_strerror(err));
        exit(1);
    }
}

static int take(struct conn *c, const uint8_t *data, size_t len,
                size_t *ret_taken);

static void take_rest(struct conn *c)
{
    size_t taken = 0;
    int err = take(c, c->rest + c->rest_at, c->rest_len - c->rest_at, &taken);

    c->rest_at += taken;
    if (err >= 0 && c->rest_at == c->rest_len) {
        c->rest_at = 0;
        c->rest_len = 0;
        err = c->is_paused ? weir_transport_resume_reading(c->transport) : 0;
        c->is_paused = false;
    }
    if (err < 0) {
        weir_transport_abort(c->transport);
    }
}

static void on_sent(void *conn, weir_transport *t, int err, uint64_t sent)
{
    struct conn *c = conn;

    (void)sent;
    close(c->fd);
    c->fd = -1;
    if (err < 0) {
        weir_transport_abort(t);
    } else if (c->rest_len > 0) {
        take_rest(c);
    }
}

/* Opens a file of the folder. Returns -1 for a path with other folders. */
static int open_file(const char *path, struct stat *ret)
{
    int fd = path[0] != '/' || strchr(path + 1, '/') != NULL
                 ? -1
                 : openat(folder_fd, path + 1, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && (fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static int answer(struct conn *c)
{
    static const char nothing[] = "HTTP/1.1 404 Not Found\r\n"
                                  "Content-Length: 0\r\n\r\n";
    char head[HTTP_HEAD_MAX];
    struct stat status;
    int fd = open_file(c->http.path, &status);
    int err = 0;

    if (fd < 0) {
        return weir_transport_write(c->transport, nothing, sizeof(nothing) - 1);
    }
    err = weir_transport_write(c->transport, head,
                               http_head(head, (uint64_t)status.st_size));
    if (err >= 0) {
        err = weir_transport_sendfile(c->transport, fd, 0,
                                      (uint64_t)status.st_size, on_sent, c);
    }
    if (err < 0) {
        close(fd);
        return err;
    }
    c->fd = fd;
    return 0;
}

/* Answers requests until a file is being sent. Returns their size. */
static int take(struct conn *c, const uint8_t *data, size_t len,
                size_t *ret_taken)
{
    *ret_taken = 0;
    while (c->fd < 0 && *ret_taken < len) {
        size_t taken = 0;
        int ret = http_take_one(&c->http, data + *ret_taken, len - *ret_taken,
                                &taken);

        *ret_taken += taken;
        if (ret > 0) {
            ret = answer(c);
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static int hold(struct conn *c, const uint8_t *data, size_t len)
{
    if (len > c->rest_capacity - c->rest_len) {
        c->rest_capacity = c->rest_len + len + REST_MAX;
        c->rest = bench_realloc(c->rest, c->rest_capacity);
    }
    memcpy(c->rest + c->rest_len, data, len);
    c->rest_len += len;
    if (c->is_paused || c->rest_len <= REST_MAX) {
        return 0;
    }
    c->is_paused = true;
    return weir_transport_pause_reading(c->transport);
}

static void connection_made(void *user, weir_transport *t)
{
    struct conn *c = user;

    c->transport = t;
    c->fd = -1;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct conn *c = user;

    (void)t;
    (void)err;
    free(c->rest);
    free(c);
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *c = user;
    size_t taken = 0;
    int err = 0;

    (void)t;
    /* Held bytes are answered first. */
    if (c->rest_len == 0) {
        err = take(c, buf->data, buf->len, &taken);
    }
    return err < 0 || taken == buf->len
               ? err
               : hold(c, buf->data + taken, buf->len - taken);
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .data_received = data_received,
};

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    (void)arg;
    (void)t;
    ret->user = bench_alloc(sizeof(struct conn));
    ret->protocol = &protocol;
    return 0;
}

static void on_serving(void *arg, int err, weir_server *server)
{
    (void)arg;
    (void)server;
    check("listen", err);
    bench_serving(&options);
}

static void on_terminate(void *arg, int signum)
{
    (void)signum;
    weir_loop_stop(arg);
}

static void open_folder(void)
{
    folder_fd = options.folder == NULL
                    ? -1
                    : open(options.folder, O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        bench_die("--folder");
    }
}

int main(int argc, char **argv)
{
    struct weir_server_options server_options = {.size =
                                                     sizeof(server_options)};
    struct weir_factory factory = {.create = make_protocol};
    weir_loop *loop = NULL;
    weir_server *server = NULL;

    options = bench_parse(argc, argv, "A server of files on weir.");
    open_folder();
    check("weir_loop_new", weir_loop_new(NULL, &loop));
    check("SIGTERM",
          weir_loop_add_signal_handler(loop, SIGTERM, on_terminate, loop));
    check("weir_create_server",
          weir_create_server(loop, &factory, "127.0.0.1", options.port,
                             &server_options, on_serving, NULL, &server));
    check("weir_loop_run", weir_loop_run(loop));
    weir_server_free(server);
    check("weir_loop_free", weir_loop_free(loop));
    return 0;
}
