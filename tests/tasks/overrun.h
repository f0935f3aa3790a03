/*
 * A task that overflows its stack, in a child process.
 *
 * A signal ends the child; its output and its status are kept, so that a test
 * can compare the report with the task.
 */
#ifndef WEIR_TESTS_TASKS_OVERRUN_H
#define WEIR_TESTS_TASKS_OVERRUN_H

#include "tests/unit.h"

#include <weir/task.h>

/* The words and the exit status of a child. */
struct ending {
    char text[512];
    int status;
};

/* Where reports go, in the child. */
extern int report_fd;

/* A task's function that calls itself until its stack is used up. */
int overrun(weir_loop *on, void *arg);

/* Runs @body in a child without handlers of a sanitizer. */
struct ending in_child(void (*body)(void));

#endif
