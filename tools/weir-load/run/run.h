/*
 * `weir-load run` loads a server and reports the results: it connects, warms
 * up, measures, waits for the last answers, and passes the result to the
 * verdict (verdict.c) and the reports (report.c, json.c).
 */
#ifndef WEIR_LOAD_RUN_H
#define WEIR_LOAD_RUN_H

/* Returns the exit code. Options and targets begin at argv[first]. */
int run_main(int argc, char **argv, int first);

#endif
