/*
 * Words that stand for one of another tool, where that is more than its value
 * in other words: what a file says, or another word of the line.
 *
 * Each adds to the line that is written. False: it adds nothing, and the words
 * of the row are written instead.
 */
#ifndef WEIR_LOAD_FOREIGN_FILL_H
#define WEIR_LOAD_FOREIGN_FILL_H

#include "tools/common/reword.h"

/* A script of wrk that only says what is sent: wrk.method, wrk.headers and
 * wrk.body. */
reword_fill_fn foreign_fill_script;

/* A list of URLs of one host, as oha, siege and vegeta have it. */
reword_fill_fn foreign_fill_list;

/* Repetitions of each user, as siege counts them. */
reword_fill_fn foreign_fill_repetitions;

/* A target of siege with a method and a body in it. */
reword_fill_fn foreign_fill_target;

#endif
