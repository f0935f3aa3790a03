/*
 * Selects and reports the engine.
 *
 * The flag sets WEIR_ENGINE in the environment, which the loops of every thread
 * read.
 */
#include "engine.h"

#include "console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

const char *const engine_names[] = {"auto", "uring", "poll", NULL};

bool engine_read(void *options, const struct option *option, const char *value,
                 char *why)
{
    if (strcmp(value, "auto") != 0 && strcmp(value, "uring") != 0 &&
        strcmp(value, "poll") != 0) {
        return option_refuse(why, "'%.200s' is not auto, uring or poll", value);
    }
    return setenv("WEIR_ENGINE", value, 1) == 0 ||
           option_refuse(why, "no memory");
}

bool engine_tell(const struct weir_exception *exception)
{
    if (exception->notice != WEIR_NOTICE_ENGINE) {
        return false;
    }
    say("%s: %s (%s); use --engine poll to avoid this warning",
        exception->message, weir_strerror(exception->err),
        weir_err_name(exception->err));
    return true;
}

void engine_tell_only(void *arg, weir_loop *loop,
                      const struct weir_exception *exception)
{
    (void)engine_tell(exception);
}

static bool is_of_ring(int err)
{
    switch (err) {
    case WEIR_ERINGSYSCTL:
    case WEIR_ERINGSECCOMP:
    case WEIR_ERINGABSENT:
    case WEIR_ERINGOLD:
    case WEIR_ERINGMEMLOCK:
    case WEIR_ERINGLOST:
        return true;
    default:
        return false;
    }
}

void engine_say_refused(int err)
{
    if (err == -EAGAIN) {
        say("no thread can be made: %s (%s); see LimitNPROC, TasksMax, "
            "pids.max",
            weir_strerror(err), weir_err_name(err));
    } else {
        say("%s: %s (%s)", is_of_ring(err) ? "io_uring" : "no loop",
            weir_strerror(err), weir_err_name(err));
    }
}
