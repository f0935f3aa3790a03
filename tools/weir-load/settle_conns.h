/*
 * What --conn-stages means beside the other options of a run: the stages say
 * how many connections there are, and how long it lasts.
 *
 * For options_rows.c and options_settle.c.
 */
#ifndef WEIR_LOAD_SETTLE_CONNS_H
#define WEIR_LOAD_SETTLE_CONNS_H

#include "options_rows.h"

#include <stddef.h>

option_read_fn settle_conns_read;

/* Its row in the table of options. */
#define CONN_STAGES_ROW                                                        \
    {                                                                          \
        .name = "conn-stages", .value = "STAGES",                              \
        .help = "30s@0..100,1m@100: numbers of connections one after the "     \
                "other; 30s:100 is from the number before",                    \
        .kind = OPTION_TEXT,                                                   \
        .offset = offsetof(struct options_reading, options.conn_stages_text),  \
        .read = settle_conns_read,                                             \
        .mark = offsetof(struct options_reading, given.conn_stages) + 1,       \
        .json = "conn_stages"                                                  \
    }

/* How many connections there are at most, and how long the run is. False: a
 * line has said why. */
bool settle_conns(struct run_options *options,
                  const struct options_given *given);

/* With the mode and the schedule known: do connections that come and go have a
 * meaning? */
bool settle_conns_meaning(const struct run_options *options,
                          const struct options_given *given);

#endif
