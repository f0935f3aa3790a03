/*
 * Findings as JUnit's XML, which Jenkins, GitLab and others show as tests: a
 * test case for each check. What could not be found out is an error, what did
 * not hold a failure.
 */
#ifndef WEIR_LOAD_JUNIT_H
#define WEIR_LOAD_JUNIT_H

#include "findings.h"

#include <stdio.h>

void junit_write(const struct findings *findings, FILE *out);

#endif
