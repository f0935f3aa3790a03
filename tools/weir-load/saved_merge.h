/*
 * The JSON of two results, made into that of one run: the part of saved.h that
 * knows each member of the schema and how it is added to another.
 *
 * What it makes is a result by the same schema.
 */
#ifndef WEIR_LOAD_SAVED_MERGE_H
#define WEIR_LOAD_SAVED_MERGE_H

#include "saved.h"

/* A new object, or NULL without memory. */
json_t *saved_merge_objects(const struct saved *one, const struct saved *other);

#endif
