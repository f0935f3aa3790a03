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
    char path[PLACE_SIZE];
};

void place_open(struct place *place);
void place_close(const struct place *place);

struct weir_address place_address(const struct place *place);

/* Binds a plain socket of @type to the path; it listens if @backlog >= 0. */
int place_bind(const struct place *place, int type, int backlog);

void place_litter(const struct place *place);

int place_connect(const struct place *place);

bool place_exists(const struct place *place);

ino_t place_inode(const struct place *place);

int place_wait_told(struct maker *m, int err);

int place_serve(struct maker *m, const char *path,
                const struct weir_server_options *options);

void place_expect_served(struct maker *m, const struct place *place);

/* Runs a body with a maker and a place, which must be empty once the maker's
 * server is freed. */
void with_place(void (*body)(struct maker *m, struct place *place));

#endif
