/*
 * Findings as Markdown, for the comment of a pull request or the summary of a
 * job: a title with the verdict, a table of figures, a table of checks, and
 * what is worth a line.
 */
#ifndef WEIR_LOAD_MARKDOWN_H
#define WEIR_LOAD_MARKDOWN_H

#include "findings.h"

#include <stdio.h>

void markdown_write(const struct findings *findings, FILE *out);

#endif
