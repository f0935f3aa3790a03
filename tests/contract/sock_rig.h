/*
 * Tasks that each make one call on a socket of the program, and its result.
 *
 * TASK() opens the loop of loop_rig.h and a socket pair that blocks, and runs
 * the test's body as the main task.
 */
#ifndef WEIR_TESTS_CONTRACT_SOCK_RIG_H
#define WEIR_TESTS_CONTRACT_SOCK_RIG_H

#include "tests/contract/loop_rig.h"

#include <arpa/inet.h>
#include <weir/address.h>
#include <weir/task.h>

enum { LARGE = 4 << 20 };

extern struct test_allocator memory;
extern int ends[2];
extern int returned;
extern char large[LARGE];

struct call {
    int fd;
    char bytes[64];
    ssize_t result;
    int order;
    struct weir_address address;
};

struct sending {
    const char *data;
    size_t len;
    size_t sent;
    int result;
};

/* Runs the body of a TASK(), which uses this one name. child_rig.c, which all
 * programs have, defines a function of that name. */
#define rig_run_body sock_run_body
void sock_run_body(void (*body)(void));
uint64_t walk_main(void (*body)(void));
weir_task *spawn(weir_task_fn *fn, void *arg);
int join(weir_task *task);
void settle(void);
int recv_once(weir_loop *on, void *arg);
int accept_once(weir_loop *on, void *arg);
int connect_once(weir_loop *on, void *arg);
void send_text(int fd, const char *text);
int send_all(weir_loop *on, void *arg);
void fill_large(void);
struct weir_address loopback(void);
int bound(int type, struct weir_address *ret);
int listening(int backlog, struct weir_address *ret);

#endif
