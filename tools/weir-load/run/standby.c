/*
 * Waits until the targets accept connections. One task tries them one after the
 * other every 100 ms, and resolves names again each time. It has its own loop,
 * so the run's figures do not include these connections.
 *
 * A proxy, such as a container's, may accept connections before there is a
 * server, so unencrypted HTTP is checked with a request. With --proxy-protocol
 * no request is sent, because it would need a PROXY header.
 */
#include "worker.h"

#include "tools/common/console.h"
#include "tools/common/units.h"

#include "weir/error.h"
#include "weir/reader.h"
#include "weir/stream.h"
#include "weir/task.h"
#include "weir/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)

#define PAUSE_NS (100 * MILLISECOND)

struct standby {
    const struct run_options *options;
    /* The current target, and the result of the last attempt. */
    const struct target *target;
    int err;
    bool has_told;
};

static struct weir_endpoint place_of(const struct target *target)
{
    return target->host[0] != '\0'
               ? weir_endpoint_host(target->host, target->port)
               : weir_endpoint_addresses(&target->address, 1);
}

static int ask(const struct target *target, weir_reader *reader,
               weir_writer *writer)
{
    char bytes[16];
    char head[TARGET_HOST_SIZE + 128];

    const int len = snprintf(head, sizeof(head),
                             "GET / HTTP/1.1\r\nHost: %s:%u\r\n"
                             "Connection: close\r\n\r\n",
                             target->host[0] ? target->host : "localhost",
                             (unsigned)target->port);
    const int err = weir_writer_write(writer, head, (size_t)len);
    if (err < 0) {
        return err;
    }
    const ssize_t count = weir_reader_read(reader, bytes, sizeof(bytes));
    return count > 0 ? 0 : count == 0 ? -ECONNRESET : (int)count;
}

static int try_once(weir_loop *loop, const struct standby *self)
{
    const struct run_options *options = self->options;
    const struct target *target = self->target;
    const struct weir_open_options open = {
        .size = sizeof(open),
        .connect = {.size = sizeof(open.connect), .family = options->family},
    };
    weir_reader *reader = NULL;
    weir_writer *writer = NULL;
    struct weir_timeout limit;

    weir_timeout_begin(loop, &limit, options->connect_timeout_ns);
    int err =
        weir_open_connection_at(loop, place_of(options_place(options, target)),
                                &open, &reader, &writer);
    if (err == 0 && target->is_http && !target->is_tls &&
        options->proxy_version == 0) {
        err = ask(target, reader, writer);
    }
    err = (int)weir_timeout_end(&limit, err);
    if (writer) {
        weir_writer_abort(writer);
        weir_writer_unref(writer);
    }
    return err;
}

static void tell(struct standby *self)
{
    char time[UNITS_TEXT_SIZE];

    if (!self->has_told && !self->options->quiet) {
        say("waiting up to %s for %s: %s",
            units_format_time(self->options->wait_ns, time), self->target->text,
            weir_strerror(self->err));
    }
    self->has_told = true;
}

static int wait_for(weir_loop *loop, struct standby *self)
{
    int err = 0;

    self->has_told = false;
    do {
        self->err = try_once(loop, self);
        if (self->err == 0 || self->err == -ECANCELED) {
            return self->err;
        }
        tell(self);
        err = weir_sleep(loop, PAUSE_NS);
    } while (err == 0);
    return err;
}

static int wait_for_all(weir_loop *loop, void *arg)
{
    struct standby *self = arg;
    struct weir_timeout limit;
    int err = 0;

    weir_timeout_begin(loop, &limit, self->options->wait_ns);
    for (size_t i = 0; i < self->options->target_count && err == 0; i++) {
        self->target = &self->options->targets[i];
        self->err = -ETIMEDOUT;
        err = wait_for(loop, self);
    }
    return (int)weir_timeout_end(&limit, err);
}

enum load_exit standby_wait(const struct run_options *options)
{
    struct standby self = {.options = options};
    char time[UNITS_TEXT_SIZE];

    const int err = weir_run(NULL, wait_for_all, &self);
    switch (err) {
    case 0:
        return LOAD_OK;
    case -ETIMEDOUT:
        say("--wait: %s did not answer in %s: %s (%s)", self.target->text,
            units_format_time(options->wait_ns, time),
            weir_strerror(self.err == -ECANCELED ? -ETIMEDOUT : self.err),
            weir_err_name(self.err == -ECANCELED ? -ETIMEDOUT : self.err));
        return LOAD_NOTHING;
    case -ECANCELED:
    case -EINTR:
        return LOAD_INTERRUPTED;
    default:
        say("--wait: %s (%s)", weir_strerror(err), weir_err_name(err));
        return LOAD_INTERNAL;
    }
}
