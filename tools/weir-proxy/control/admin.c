/*
 * The operators' page: as much HTTP as a scraper needs. A connection has one
 * request and one response.
 *
 * A request and a response may each take REQUEST_NS (askers.h); a slower client
 * is disconnected.
 */
#include "admin.h"

#include "askers.h"
#include "status.h"
#include "tools/common/console.h"
#include "tools/common/http_head.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"
#include "weir/stream.h"
#include "weir/task.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX  8192
#define PROTOCOL_END "\r\n\r\n"

struct asker {
    weir_writer *writer;
    bool wants_body;
};

static int answer(const struct asker *asker, const char *status,
                  const char *type, const char *body, size_t len)
{
    char head[256];
    const int head_len =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                 "Connection: close\r\n\r\n",
                 status, type, len);
    const int err = weir_writer_write(asker->writer, head, (size_t)head_len);

    return err < 0 || !asker->wants_body
               ? err
               : weir_writer_write(asker->writer, body, len);
}

static int answer_text(const struct asker *asker, const char *status,
                       const char *text)
{
    return answer(asker, status, "text/plain; charset=utf-8", text,
                  strlen(text));
}

static int write_page(const struct status *status, bool is_status,
                      const struct asker *asker)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out) {
        return -ENOMEM;
    }
    if (is_status) {
        status_write(status, out);
    } else {
        metrics_write(&status->metrics, out);
    }
    int err = fclose(out) == 0 ? 0 : -ENOMEM;
    if (err == 0) {
        err = answer(asker, "200 OK",
                     is_status ? "text/plain; charset=utf-8"
                               : "text/plain; version=0.0.4",
                     text, len);
    }
    free(text);
    return err;
}

static int answer_page(const struct worker *worker, bool is_status,
                       const struct asker *asker)
{
    struct status status = {.count = 0};
    int err = metrics_take(&status.metrics, worker,
                           is_status ? status_gather : metrics_gather, &status);

    if (err == 0) {
        err = write_page(&status, is_status, asker);
    }
    status_free(&status);
    return err;
}

static int answer_path(const struct worker *worker, const struct asker *asker,
                       const char *path, size_t len)
{
    const bool is_status = len == 7 && memcmp(path, "/status", len) == 0;

    if (is_status || (len == 8 && memcmp(path, "/metrics", len) == 0)) {
        return answer_page(worker, is_status, asker);
    }
    if (len == 8 && memcmp(path, "/healthz", len) == 0) {
        return answer_text(asker, "200 OK", "ok\n");
    }
    if (len == 7 && memcmp(path, "/readyz", len) == 0) {
        return worker->is_draining || worker->is_stopping
                   ? answer_text(asker, "503 Service Unavailable", "draining\n")
                   : answer_text(asker, "200 OK", "ok\n");
    }
    return answer_text(asker, "404 Not Found",
                       "there are /metrics, /status, /healthz and /readyz\n");
}

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const struct weir_separator end = {PROTOCOL_END,
                                              sizeof(PROTOCOL_END) - 1};
    struct worker *worker = arg;
    char request[REQUEST_MAX];
    struct http_request_line line;
    struct asker asker = {writer, .wants_body = true};

    /* A request in progress gets its response even after a stop. */
    weir_transport_set_busy(weir_writer_get_transport(writer), true);
    const ssize_t len = askers_read(&worker->page_askers, reader, writer, &end,
                                    request, REQUEST_MAX);
    if (len < 0 && len != WEIR_ELIMIT) {
        return 0; /* no request to respond to */
    }
    const int status =
        len < 0 ? 431 : http_request_read(request, (size_t)len, &line);
    if (status != 0) {
        char text[32];
        snprintf(text, sizeof(text), "%d Refused", status);
        return answer_text(&asker, text, "this is not an HTTP/1.1 request\n");
    }
    asker.wants_body = !http_request_line_has(&line, "HEAD");
    if (asker.wants_body && !http_request_line_has(&line, "GET")) {
        return answer_text(&asker, "405 Method Not Allowed\r\nAllow: GET, HEAD",
                           "GET and HEAD alone\n");
    }
    const char *query = memchr(line.target, '?', line.target_len);
    return answer_path(worker, &asker, line.target,
                       query ? (size_t)(query - line.target) : line.target_len);
}

bool admin_offer(struct proxy *proxy, int fd)
{
    struct weir_address bound = {.len = sizeof(bound.storage)};
    struct weir_address wanted;

    const char *text = proxy->setup->config->admin;

    if (!text || proxy->admin_fd >= 0 || config_read_admin(text, &wanted) < 0 ||
        getsockname(fd, &bound.storage.any, &bound.len) < 0 ||
        !weir_address_is_equal(&bound, &wanted)) {
        return false;
    }
    proxy->admin_fd = fd;
    return true;
}

int admin_open(struct proxy *proxy)
{
    const struct config *config = proxy->setup->config;
    const int on = 1;
    struct weir_address address;

    if (!config->admin || proxy->admin_fd >= 0 ||
        config_read_admin(config->admin, &address) < 0) {
        return 0;
    }
    const int fd = socket(address.storage.any.sa_family,
                          SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (address.storage.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
        (config->handover_path &&
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
        bind(fd, &address.storage.any, address.len) < 0 ||
        listen(fd, ASKERS_MAX) < 0) {
        const int err = -errno;
        say("admin %s: %s", config->admin, weir_strerror(err));
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    proxy->admin_fd = fd;
    return 0;
}

int admin_get_socket(const struct worker *worker)
{
    return worker->page && weir_server_is_serving(worker->page)
               ? weir_server_get_socket(worker->page, 0, NULL)
               : -1;
}

int admin_begin(struct worker *worker)
{
    struct proxy *proxy = worker->proxy;
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    if (proxy->admin_fd < 0) {
        return 0;
    }
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .arg = worker,
        .server = {
            .size = sizeof(options.server),
            .connection_limit = ASKERS_MAX,
            .connection = {
                .size = sizeof(options.server.connection),
                .timeouts = {.size = sizeof(options.server.connection.timeouts),
                             .close_ns = REQUEST_NS}}}};
    const int err = weir_start_server_at(worker->loop, serve,
                                         weir_endpoint_fd(proxy->admin_fd),
                                         &options, &worker->page);
    proxy->admin_fd = -1;
    if (err < 0) {
        say("admin: %s", weir_strerror(err));
        return err;
    }
    weir_server_get_socket(worker->page, 0, &address);
    say("metrics at http://%s/metrics",
        weir_address_format(&address, text, sizeof(text)));
    return 0;
}

void admin_stop_listening(struct worker *worker)
{
    if (worker->page &&
        weir_server_stop(worker->page, UINT64_MAX, NULL, NULL) < 0) {
        weir_server_close(worker->page);
    }
}

void admin_end(struct worker *worker)
{
    if (worker->is_replaced && worker->page &&
        weir_server_wait_closed(worker->page) < 0) {
        say("metrics: the last request may have no response");
    }
    weir_server_free(worker->page);
    worker->page = NULL;
}
