/*
 * Flags of other load tools that fingers know (wrk, hey, oha, h2load, vegeta,
 * bombardier, ab, curl), and what stands for them here.
 *
 * They are refused, with what to write: the same letter means another thing in
 * each of those tools.
 */
#ifndef WEIR_LOAD_FOREIGN_H
#define WEIR_LOAD_FOREIGN_H

#include "tools/common/option.h"

/* Ends with a row without a name. */
extern const struct option_foreign foreign_flags[];

#endif
