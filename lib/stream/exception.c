/*
 * An exception hook that prints one line for each exception; a program passes
 * it to weir_loop_set_exception_handler(). The line is written in one call, so
 * that lines of several loops do not mix. printf() to an unbuffered stream
 * would also put a large buffer on the task's stack.
 */
#include "uring/check.h"
#include "weir/error.h"
#include "weir/loop.h"
#include "weir/server.h"
#include "weir/task.h"
#include "weir/transport.h"

#include <stdio.h>
#include <string.h>

#define PART_SIZE   (WEIR_ADDRESS_TEXT_SIZE + 256u)
#define MESSAGE_MAX 512
#define LINE_SIZE   (MESSAGE_MAX + 4u * PART_SIZE)

/* Formats @before and @text, or nothing without @text. */
static void exception_format(char *part, const char *before, const char *text)
{
    part[0] = '\0';
    if (text && text[0]) {
        wr_ignore(snprintf(part, PART_SIZE, "%s%s", before, text) < 0);
    }
    wr_assert(strlen(part) < PART_SIZE);
}

static void exception_format_peer(char *part,
                                  const struct weir_exception *exception)
{
    char text[PART_SIZE] = "";
    struct weir_address address;

    wr_assert(part);
    if (exception->transport) {
        wr_ignore(!weir_transport_get_error_text(exception->transport, text,
                                                 sizeof(text)));
        exception_format(part, "; connection ", text);
    } else if (exception->server &&
               weir_server_get_socket(exception->server, 0, &address) >= 0) {
        exception_format(part, "; server ",
                         weir_address_format(&address, text, sizeof(text)));
    }
}

void weir_print_exception(void *arg, weir_loop *loop,
                          const struct weir_exception *exception)
{
    FILE *out = arg ? arg : stderr;
    char line[LINE_SIZE];
    char error[PART_SIZE];
    char place[PART_SIZE] = "";
    char peer[PART_SIZE] = "";
    char time[64] = "";
    (void)loop;

    error[0] = '\0';
    if (exception->err < 0) {
        wr_ignore(snprintf(error, PART_SIZE, ": %s (%s)",
                           weir_strerror(exception->err),
                           weir_err_name(exception->err)) < 0);
    } else if (exception->err > 0) {
        wr_ignore(snprintf(error, PART_SIZE, ": error %d", exception->err) < 0);
    }
    if (exception->task) {
        exception_format(place, "; task ", weir_task_get_name(exception->task));
    } else {
        exception_format(place, "; in ", exception->callback);
    }
    exception_format_peer(peer, exception);
    if (exception->duration_ns > 0) {
        wr_ignore(snprintf(time, sizeof(time), "; took %.3f ms",
                           (double)exception->duration_ns / 1e6) < 0);
    }
    /* Only the message is truncated, not the parts after it. */
    const int len =
        snprintf(line, sizeof(line), "weir: %.*s%s%s%s%s\n", MESSAGE_MAX,
                 exception->message ? exception->message : "exception", error,
                 place, peer, time);
    wr_assert(len > 0 && (size_t)len < sizeof(line));
    wr_ignore(fwrite(line, 1, (size_t)len, out) < (size_t)len);
}
