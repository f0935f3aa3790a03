/*
 * How a tool chooses and tells the engine.
 *
 * The flag becomes WEIR_ENGINE in the environment, where the loops of every
 * thread find it.
 */
#include "engine.h"

#include "console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

bool engine_choose(const char *name)
{
    if (strcmp(name, "auto") != 0 && strcmp(name, "uring") != 0 &&
        strcmp(name, "poll") != 0) {
        say("--engine: '%s' is not auto, uring or poll", name);
        return false;
    }
    return setenv("WEIR_ENGINE", name, 1) == 0;
}

bool engine_tell(const struct weir_exception *exception)
{
    if (exception->notice != WEIR_NOTICE_ENGINE) {
        return false;
    }
    say("%s: %s (%s)", exception->message, weir_strerror(exception->err),
        weir_err_name(exception->err));
    return true;
}

void engine_tell_only(void *arg, weir_loop *loop,
                      const struct weir_exception *exception)
{
    (void)arg;
    (void)loop;
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
