/*
 * The child is this same program, by /proc/self/exe. Its result comes as JSON
 * through a pipe, its complaints through another.
 *
 * A child that is given up is killed; its server sees connections that close.
 */
#include "child.h"

#include "secret_words.h"

#include "weir/error.h"
#include "weir/process.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_WORDS 4U

/* The last line that the child has said, without the program's name. */
static void quote(const char *text, char *why)
{
    static const char name[] = "weir-load: ";
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    size_t begin = len;
    while (begin > 0 && text[begin - 1] != '\n') {
        begin--;
    }
    text += begin;
    len -= begin;
    if (strncmp(text, name, sizeof(name) - 1) == 0) {
        text += sizeof(name) - 1;
        len -= sizeof(name) - 1;
    }
    if (len == 0) {
        snprintf(why, SAVED_WHY_SIZE, "a run ended without a result");
        return;
    }
    snprintf(why, SAVED_WHY_SIZE, "%.*s", (int)(len < 300 ? len : 300), text);
}

static int start(weir_loop *loop, const struct words *words, weir_process **ret)
{
    struct weir_process_options options = {
        .size = sizeof(options),
        .spawn = {.executable = "/proc/self/exe",
                  .in = {.kind = WEIR_STDIO_DEVNULL},
                  .out = {.kind = WEIR_STDIO_PIPE},
                  .err = {.kind = WEIR_STDIO_PIPE}},
    };
    const char *argv[WORDS_MAX + OWN_WORDS + 1];
    size_t count = 0;

    argv[count++] = "weir-load";
    argv[count++] = "run";
    argv[count++] = "--json";
    argv[count++] = "--quiet";
    for (size_t i = 0; i < words->count; i++) {
        argv[count++] = words->list[i];
    }
    argv[count] = NULL;
    struct secret_words hidden;
    int err = secret_words_hide(argv, count, &hidden);
    options.spawn.env = hidden.env;
    if (err == 0) {
        err = weir_create_subprocess_exec(loop, hidden.argv, &options, ret);
    }
    secret_words_drop(&hidden);
    return err;
}

int child_measure(weir_loop *loop, const struct words *words, struct saved *ret,
                  char *why)
{
    struct weir_process_output output = {.size = sizeof(output)};
    weir_process *process = NULL;

    int err = start(loop, words, &process);
    if (err == 0) {
        err = weir_process_communicate(process, NULL, 0, 0, &output);
    }
    if (err == 0 && output.out_len == 0) {
        quote(output.err, why);
        err = -EINVAL;
    } else if (err == 0) {
        err = saved_parse(output.out, output.out_len, "a run", ret, why);
    } else if (err != -ECANCELED) {
        snprintf(why, SAVED_WHY_SIZE, "a run could not be made: %s",
                 weir_strerror(err));
    }
    if (process && err == -ECANCELED) {
        weir_process_kill(process); /* it may have ended: that is as well */
    }
    weir_process_free(process);
    return err;
}

void child_show_progress(const char *format, ...)
{
    va_list args;

    if (!isatty(STDERR_FILENO)) {
        return;
    }
    fputs("\r\x1b[K", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fflush(stderr);
}
