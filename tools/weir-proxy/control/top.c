/*
 * A task requests /status (status.h), keeps two responses to compute rates, and
 * draws. Rows are cut to the terminal's width. The most important rows come
 * first, and rows that do not fit are left out.
 *
 * Any program may serve the address, so only printable ASCII is written to the
 * terminal.
 */
#include "top.h"

#include "status.h"
#include "tools/common/console.h"
#include "tools/common/http_head.h"
#include "tools/common/units.h"
#include "tools/weir-proxy/config/config.h"

#include "weir/error.h"
#include "weir/stream.h"
#include "weir/task.h"
#include "weir/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define EVERY_NS   UINT64_C(1000000000)
#define ANSWER_NS  UINT64_C(5000000000)
#define ANSWER_MAX (1u << 20)
#define LINES_MAX  1000
#define ROW_SIZE   512

static const char request[] = "GET /status HTTP/1.0\r\n\r\n";

/* A response, split into lines and fields; owns their memory. */
struct answer {
    char *text;
    const char *lines[LINES_MAX][STATUS_WORDS];
    size_t count;
    uint64_t time_ns; /* time of arrival; 0 without a response */
};

struct top {
    const char *where;
    struct weir_address address;
    weir_loop *loop;
    weir_task *task;
    struct answer answers[2];
    unsigned latest;
    int err;
    bool is_live;
    unsigned rows_left; /* rows that are still free while drawing */
    unsigned columns;
};

/* Splits the text in place; missing fields are "". */
static void split(struct answer *answer, char *text)
{
    char *line;

    answer->count = 0;
    while (answer->count < LINES_MAX && (line = strsep(&text, "\n")) && *line) {
        const char **words = answer->lines[answer->count++];
        for (size_t i = 0; i < STATUS_WORDS; i++) {
            words[i] = line ? strsep(&line, "\t") : "";
        }
    }
}

static int take(struct answer *answer, const struct weir_buf *bytes)
{
    struct http_head_reader head;
    size_t at = 0;

    http_head_begin(&head);
    const int used = http_head_read(&head, bytes->data, bytes->len, &at);
    if (used < 0 || head.state != HTTP_HEAD_DONE || head.head.status != 200) {
        return -EBADMSG;
    }
    char *text =
        strndup((const char *)bytes->data + used, bytes->len - (size_t)used);
    if (!text || strncmp(text, "proxy\t", 6) != 0) {
        free(text);
        return text ? -EBADMSG : -ENOMEM;
    }
    free(answer->text);
    answer->text = text;
    for (char *c = text; *c; c++) {
        *c = (*c >= ' ' && *c < 127) || *c == '\n' || *c == '\t' ? *c : '?';
    }
    split(answer, text);
    return 0;
}

static int ask(const struct top *top, struct weir_buf *ret)
{
    const struct weir_open_options options = {
        .size = sizeof(options), .connect = {.size = sizeof(options.connect)}};
    weir_reader *reader;
    weir_writer *writer;

    int err = weir_open_connection_at(top->loop,
                                      weir_endpoint_addresses(&top->address, 1),
                                      &options, &reader, &writer);
    if (err < 0) {
        return err;
    }
    err = weir_writer_write(writer, request, sizeof(request) - 1);
    if (err == 0) {
        const ssize_t len = weir_reader_read_to_end(reader, ANSWER_MAX, ret);
        err = len > 0 ? 0 : len < 0 ? (int)len : -EBADMSG;
    }
    weir_writer_abort(writer);
    weir_writer_unref(writer);
    return err;
}

static int ask_in_time(struct top *top)
{
    struct answer *answer = &top->answers[1 - top->latest];
    struct weir_timeout limit;
    struct weir_buf bytes = {.len = 0};

    weir_timeout_begin(top->loop, &limit, ANSWER_NS);
    int err = (int)weir_timeout_end(&limit, ask(top, &bytes));
    if (err == 0) {
        err = take(answer, &bytes);
        weir_buf_unref(bytes.lease);
    }
    if (err == 0) {
        answer->time_ns = weir_loop_get_time(top->loop);
        top->latest = 1 - top->latest;
    }
    return err;
}

__attribute__((format(printf, 2, 3))) static void row(struct top *top,
                                                      const char *format, ...)
{
    char text[ROW_SIZE];
    va_list args;

    if (top->rows_left == 0) {
        return;
    }
    top->rows_left--;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    printf("%.*s%s", (int)top->columns, text, top->is_live ? "\033[K" : "");
    if (top->rows_left > 0) { /* a newline in the last row would scroll */
        putchar('\n');
    }
}

static uint64_t number(const char *const *words, size_t word)
{
    return strtoull(words[word], NULL, 10);
}

/* Writes the rate of a number's growth, or "-". The line of the previous
 * response is found by its first @keys fields. */
static const char *rate(const struct top *top, const char *const *words,
                        size_t keys, size_t word, bool is_size, char *buf)
{
    const struct answer *now = &top->answers[top->latest];
    const struct answer *before = &top->answers[1 - top->latest];
    const double seconds = (double)(now->time_ns - before->time_ns) / 1e9;

    for (size_t i = 0; before->time_ns > 0 && i < before->count; i++) {
        size_t same = 0;
        while (same < keys &&
               strcmp(before->lines[i][same], words[same]) == 0) {
            same++;
        }
        const uint64_t old = number(before->lines[i], word);
        if (same == keys && old <= number(words, word) && seconds > 0) {
            const double found = (double)(number(words, word) - old) / seconds;
            if (is_size) {
                return units_format_size((uint64_t)found, buf);
            }
            snprintf(buf, UNITS_TEXT_SIZE, "%.1f", found);
            return buf;
        }
    }
    return "-";
}

static void draw_proxy(struct top *top, const char *const *words)
{
    char texts[5][UNITS_TEXT_SIZE];

    row(top,
        "weir-proxy at %s %s by %s threads: %s/s received, %s/s sent, %s of "
        "%s wait, %s of memory",
        top->where, words[PROXY_STATE], words[PROXY_THREADS],
        rate(top, words, 1, PROXY_RECEIVED, true, texts[0]),
        rate(top, words, 1, PROXY_SENT, true, texts[1]),
        units_format_size(number(words, PROXY_BUFFERS), texts[2]),
        units_format_size(number(words, PROXY_MEMORY_LIMIT), texts[3]),
        units_format_size(number(words, PROXY_MEMORY), texts[4]));
}

static void draw_service(struct top *top, const char *const *words)
{
    char text[UNITS_TEXT_SIZE];

    row(top, "%-32.32s %8s %8s %10s %12s %10s", words[SERVICE_NAME],
        words[SERVICE_ACTIVE], words[SERVICE_QUEUED],
        rate(top, words, SERVICE_NAME + 1, SERVICE_TOTAL, false, text),
        words[SERVICE_TOTAL], words[SERVICE_ERRORS]);
}

static void draw_target(struct top *top, const char *const *words)
{
    char text[UNITS_TEXT_SIZE];
    char age[UNITS_TEXT_SIZE];
    const bool is_in_use = words[TARGET_IN_USE_MS][0] != '-';

    row(top, "%-32.32s %8s %8s %10s %12s %10s  %s%s%s", words[TARGET_NAME],
        words[TARGET_ACTIVE], words[TARGET_STATE],
        rate(top, words, TARGET_NAME + 1, TARGET_TOTAL, false, text),
        words[TARGET_TOTAL], words[TARGET_ERRORS], words[TARGET_SERVICE],
        is_in_use ? ", in use for " : "",
        is_in_use
            ? units_format_time(number(words, TARGET_IN_USE_MS) * 1000000, age)
            : "");
}

static void draw_connection(struct top *top, const char *const *words)
{
    char texts[5][UNITS_TEXT_SIZE];

    row(top, "%-32.32s %8s %10s %10s %10s %10s  %s %s %s",
        words[CONNECTION_CLIENT],
        units_format_time(number(words, CONNECTION_AGE_MS) * 1000000, texts[0]),
        rate(top, words, CONNECTION_TARGET + 1, CONNECTION_IN, true, texts[1]),
        rate(top, words, CONNECTION_TARGET + 1, CONNECTION_OUT, true, texts[2]),
        units_format_size(number(words, CONNECTION_IN), texts[3]),
        units_format_size(number(words, CONNECTION_OUT), texts[4]),
        words[CONNECTION_TARGET], words[CONNECTION_SERVICE],
        words[CONNECTION_STATE]);
}

static void draw_all(struct top *top, const char *kind, const char *title,
                     void (*draw)(struct top *top, const char *const *words))
{
    const struct answer *now = &top->answers[top->latest];
    bool is_titled = !title;

    for (size_t i = 0; i < now->count; i++) {
        if (strcmp(now->lines[i][0], kind) == 0) {
            if (!is_titled) {
                row(top, "%s", "");
                row(top, "%s", title);
                is_titled = true;
            }
            draw(top, now->lines[i]);
        }
    }
}

static void draw(struct top *top)
{
    struct winsize size;
    const bool is_known =
        top->is_live && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

    top->columns = is_known && size.ws_col > 0 ? size.ws_col : ROW_SIZE;
    top->rows_left = is_known && size.ws_row > 0 ? size.ws_row : UINT32_MAX;
    fputs(top->is_live ? "\033[H" : "", stdout);
    if (top->err < 0) {
        row(top, "%s: %s", top->where, weir_strerror(top->err));
    }
    draw_all(top, "proxy", NULL, draw_proxy);
    draw_all(top, "service",
             "SERVICE                            ACTIVE    QUEUE      NEW/S"
             "        TOTAL     ERRORS",
             draw_service);
    draw_all(top, "target",
             "TARGET                             ACTIVE    STATE      NEW/S"
             "        TOTAL     ERRORS  SERVICE",
             draw_target);
    draw_all(top, "connection",
             "CONNECTION                            AGE       IN/S      OUT/S"
             "         IN        OUT  TARGET SERVICE STATE",
             draw_connection);
    fputs(top->is_live ? "\033[J" : "", stdout);
    fflush(stdout);
}

static void resized(void *arg, int signum)
{
    (void)signum;
    draw(arg);
}

static void pressed(void *arg)
{
    const struct top *top = arg;
    char key;
    const ssize_t n = read(STDIN_FILENO, &key, 1);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
        (n == 1 && (key == 'q' || key == 'Q'))) {
        weir_loop_remove_reader(top->loop, STDIN_FILENO);
        weir_task_cancel(top->task);
    }
}

static int watch(struct top *top)
{
    int err = weir_loop_add_signal_handler(top->loop, SIGWINCH, resized, top);

    if (err == 0 && isatty(STDIN_FILENO)) {
        err = weir_loop_add_reader(top->loop, STDIN_FILENO, pressed, top);
    }
    while (err == 0) {
        draw(top);
        err = ferror(stdout) ? -EIO : weir_sleep(top->loop, EVERY_NS);
        if (err == 0) {
            top->err = ask_in_time(top);
            err = top->err == -ECANCELED ? top->err : 0;
        }
    }
    weir_loop_remove_reader(top->loop, STDIN_FILENO);
    return err == -ECANCELED ? 0 : err;
}

/* Keys are read one by one and are not echoed; ^C still sends a signal. */
static int watch_terminal(struct top *top)
{
    struct termios before;
    const bool has_keys = tcgetattr(STDIN_FILENO, &before) == 0;

    if (has_keys) {
        struct termios raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs("\033[?1049h\033[?25l", stdout); /* alternate screen, no cursor */
    const int err = watch(top);
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (has_keys) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    return err;
}

static int serve(weir_loop *loop, void *arg)
{
    struct top *top = arg;

    top->loop = loop;
    top->task = weir_task_get_current(loop);
    const int err = ask_in_time(top);
    if (err < 0) {
        return err;
    }
    if (top->is_live) {
        return watch_terminal(top);
    }
    draw(top);
    return 0;
}

bool top_run(const char *where)
{
    struct top *top = calloc(1, sizeof(*top));
    int err = top ? config_read_admin(where, &top->address) : -ENOMEM;

    if (err == 0) {
        top->where = where;
        top->is_live = isatty(STDOUT_FILENO);
        signal(SIGHUP, SIG_DFL); /* the terminal's hangup ends this program */
        err = weir_run(NULL, serve, top);
    }
    if (err < 0) {
        say("%s: %s", where, weir_strerror(err));
    }
    if (top) {
        free(top->answers[0].text);
        free(top->answers[1].text);
        free(top);
    }
    return err == 0;
}
