/*
 * `weir-load serve`: the server that a load is sent to.
 *
 * It exists so that every example runs alone, and so that tests and
 * measurements of the library have a server that is nothing but the library.
 */
#ifndef WEIR_LOAD_SERVE_H
#define WEIR_LOAD_SERVE_H

/* Returns the exit code. Flags and addresses begin at argv[first]. */
int serve_main(int argc, char **argv, int first);

#endif
