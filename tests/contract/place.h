/*
 * A directory of a test, for Unix socket files.
 *
 * place_close() fails if a file remains, because the tests also check what a
 * server leaves behind.
 */
#ifndef WEIR_TESTS_CONTRACT_PLACE_H
#define WEIR_TESTS_CONTRACT_PLACE_H

#include "tests/contract/maker.h"

#include <sys/stat.h>

enum { PLACE_SIZE = 64 };

struct place {
    char dir[PLACE_SIZE];
    char path[PLACE_SIZE]; /* path of the socket: "s" in dir */
};

void place_open(struct place *place);
void place_close(const struct place *place);

/* Returns the address of the path. */
struct weir_address place_address(const struct place *place);

/* Binds a plain socket of @type to the path; it listens if @backlog >= 0. */
int place_bind(const struct place *place, int type, int backlog);

/* Leaves a file at the path that no socket is bound to. */
void place_litter(const struct place *place);

/* Connects a plain socket to the path. Returns it, or a negative error. */
int place_connect(const struct place *place);

bool place_exists(const struct place *place);

/* Returns the inode at the path, which must exist. */
ino_t place_inode(const struct place *place);

/* Waits for the result of a server whose start returned @err. */
int place_wait_told(struct maker *m, int err);

/* Starts the maker's server on a path and waits for its result. */
int place_serve(struct maker *m, const char *path,
                const struct weir_server_options *options);

/* Expects that a client of the path reaches the maker's server. */
void place_expect_served(struct maker *m, const struct place *place);

/* Runs a body with a maker and a place, which must be empty once the maker's
 * server is freed. */
void with_place(void (*body)(struct maker *m, struct place *place));

#endif
