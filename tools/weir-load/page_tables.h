/*
 * The tables of a page that say how runs were judged and what was answered:
 * objectives, reasons and warnings, statuses, kinds of requests and errors.
 *
 * A table that no run has a row for is left out.
 */
#ifndef WEIR_LOAD_PAGE_TABLES_H
#define WEIR_LOAD_PAGE_TABLES_H

#include "saved.h"

#include <stdio.h>

/* A member's text, number or truth, as text and never as HTML. */
void page_write_value(const json_t *value, FILE *out);

/* How runs were judged. */
void page_write_judgements(const struct saved *runs, size_t count, FILE *out);

/* What was asked, and how it was answered. */
void page_write_answers(const struct saved *runs, size_t count, FILE *out);

#endif
