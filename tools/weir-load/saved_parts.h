/*
 * Results that are parts of one run (part.h): whether they are, and how the run
 * came out as a whole.
 *
 * saved.h reads and merges them; here it is looked at what a sum would hide.
 */
#ifndef WEIR_LOAD_SAVED_PARTS_H
#define WEIR_LOAD_SAVED_PARTS_H

#include "saved.h"

/* What is known of a result that is none of several, or of each of its parts;
 * a new array, or NULL without memory. */
json_t *saved_parts_list(const struct saved *saved);

/*
 * May a part be merged with others? It must be the same load by its options, in
 * the same time, and none that is there already.
 *
 * Returns 0, or -EINVAL with one line in why (SAVED_WHY_SIZE bytes).
 */
int saved_parts_check(const struct saved *whole, const struct saved *part,
                      char *why);

/* Are all parts of the run there? As saved_parts_check(). */
int saved_parts_check_all(const struct saved *whole, char *why);

/* Judge the objectives of merged results by what all of them have found out,
 * and the verdict by that; no part is judged worse for an objective alone. */
void saved_parts_judge(struct saved *whole);

#endif
