/*
 * `weir-load run`: load a server and report what it did.
 *
 * It connects, warms up, measures, waits for the last answers, and hands what
 * it found to the reports (report.h, json.h) and to the judge (verdict.h).
 */
#ifndef WEIR_LOAD_RUN_H
#define WEIR_LOAD_RUN_H

/* Returns the exit code. Flags and targets begin at argv[first]. */
int run_main(int argc, char **argv, int first);

#endif
