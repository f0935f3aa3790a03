/*
 * Scenarios: tasks that each use one area of weir and know the right result.
 *
 * refuse.py runs each scenario while the kernel refuses one of its system
 * calls. A scenario returns 0 if everything is right, or the error of a call of
 * weir. RIGHT() checks conditions that must hold whatever is refused.
 */
#ifndef WEIR_TESTS_REFUSE_SCENARIO_H
#define WEIR_TESTS_REFUSE_SCENARIO_H

#include <stdbool.h>
#include <weir/error.h>

/* Result of a scenario with a wrong result of which no error was reported. */
#define WRONG 1

extern const char *scenario_where;

#define TRY(call)                                                              \
    do {                                                                       \
        const long try_err = (long)(call);                                     \
        if (try_err < 0) {                                                     \
            scenario_where = #call;                                            \
            return (int)try_err;                                               \
        }                                                                      \
    } while (0)
#define RIGHT(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            scenario_where = #condition;                                       \
            return WRONG;                                                      \
        }                                                                      \
    } while (0)

extern const char *scenario_folder;
const char *scenario_path(const char *name, char *text);
enum { SCENARIO_PATH = 256 };

/* Installs the filter if it starts on a running loop ("loop"). */
void scenario_is_on_loop(void);

/* ---- streams.c ---- */

int scenario_tcp(weir_loop *loop, void *arg);
int scenario_unix(weir_loop *loop, void *arg);
int scenario_names(weir_loop *loop, void *arg);
int scenario_relay(weir_loop *loop, void *arg);
int scenario_datagrams(weir_loop *loop, void *arg);
int scenario_tls(weir_loop *loop, void *arg);

/* ---- machine.c ---- */

int scenario_files(weir_loop *loop, void *arg);
int scenario_sendfile(weir_loop *loop, void *arg);
int scenario_pipes(weir_loop *loop, void *arg);
int scenario_child(weir_loop *loop, void *arg);
int scenario_signals(weir_loop *loop, void *arg);
int scenario_threads(weir_loop *loop, void *arg);
int scenario_executor(weir_loop *loop, void *arg);
int scenario_watch(weir_loop *loop, void *arg);
int scenario_embedded(void);

#endif
