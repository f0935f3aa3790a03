/*
 * A directory of a test's own, for the files of Unix sockets.
 *
 * place_close() fails if a file is left: what a server leaves behind is part of
 * what is tested.
 */
#ifndef WEIR_TESTS_CONTRACT_PLACE_H
#define WEIR_TESTS_CONTRACT_PLACE_H

#include "tests/contract/maker.h"

#include <sys/stat.h>

enum { PLACE_SIZE = 64 };

struct place {
    char dir[PLACE_SIZE];
    char path[PLACE_SIZE]; /* of the socket, "s" in dir */
};

void place_open(struct place *place);
void place_close(const struct place *place);

/* The address of the path. */
struct weir_address place_address(const struct place *place);

/* A plain socket of @type bound to the path; it listens if @backlog >= 0. */
int place_bind(const struct place *place, int type, int backlog);

/* Leaves a file at the path that no socket is bound to. */
void place_litter(const struct place *place);

/* A plain connection to the path, or a negative error. */
int place_connect(const struct place *place);

bool place_exists(const struct place *place);

/* The inode at the path, which must exist. */
ino_t place_inode(const struct place *place);

/* Waits for the result of a server whose start has returned @err. */
int place_wait_told(struct maker *m, int err);

/* Starts the maker's server on a path and waits for its result. */
int place_serve(struct maker *m, const char *path,
                const struct weir_server_options *options);

/* Expects that a client of the path reaches the maker's server. */
void place_expect_served(struct maker *m, const struct place *place);

/* Runs a body with a maker and a place, in which nothing must be left once the
 * server of the maker is freed. */
void with_place(void (*body)(struct maker *m, struct place *place));

#endif
