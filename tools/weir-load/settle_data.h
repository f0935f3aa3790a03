/*
 * What --data means beside the other options of a run: its file is read before
 * the rest is settled, as its rows may say how many requests there are; and
 * that each {csv:NAME} is one of its columns is looked at behind it.
 */
#ifndef WEIR_LOAD_SETTLE_DATA_H
#define WEIR_LOAD_SETTLE_DATA_H

#include "options_rows.h"

#include <stddef.h>

/* The choices of --data-order. */
extern const char *const settle_data_orders[];

/* The rows of --data in the table of options. */
#define DATA_ROWS                                                              \
    {.name = "data",                                                           \
     .value = "FILE",                                                          \
     .help = "a CSV file whose first line names its columns: each request "    \
             "has a row, of which {csv:COLUMN} is a field",                    \
     .kind = OPTION_TEXT,                                                      \
     .offset = offsetof(struct options_reading, options.data_path),            \
     .mark = offsetof(struct options_reading, given.data) + 1},                \
    {                                                                          \
        .name = "data-order", .value = "HOW",                                  \
        .help =                                                                \
            "turn: the rows one after the other, again and again; random; "    \
            "once: in turn, and the run ends with the last",                   \
        .kind = OPTION_CHOICE, .choices = settle_data_orders,                  \
        .offset = offsetof(struct options_reading, options.data_order),        \
        .mark = offsetof(struct options_reading, given.data_order) + 1,        \
        .initial = "turn", .needs = "data", .json = "data.order"               \
    }

/* Read the file, if there is one. False: a line has said why. */
bool settle_data(struct run_options *options,
                 const struct options_given *given);

/* Look at what requests take of it. */
bool settle_fields(const struct run_options *options,
                   const struct options_given *given);

#endif
