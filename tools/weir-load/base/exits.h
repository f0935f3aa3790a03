/*
 * Exit codes of weir-load.
 *
 * They are documented in weir-load(1). Scripts depend on them: a code has the
 * result of a run, so that no report needs to be read.
 */
#ifndef WEIR_LOAD_EXITS_H
#define WEIR_LOAD_EXITS_H

enum load_exit {
    LOAD_OK = 0,            /* the run was valid */
    LOAD_INTERNAL = 1,      /* weir-load itself failed */
    LOAD_USAGE = 2,         /* bad flags, or a limit of this machine */
    LOAD_NOTHING = 3,       /* not one request succeeded */
    LOAD_ERRORS = 4,        /* more errors than --max-errors allows */
    LOAD_INVALID = 5,       /* the run does not show what it should */
    LOAD_SLO = 99,          /* --slo does not hold, or B is worse than A */
    LOAD_INTERRUPTED = 130, /* by a signal; partial results are printed */
};

#endif
