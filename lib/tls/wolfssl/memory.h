/*
 * The memory of wolfSSL, counted.
 *
 * wolfSSL has one set of allocator functions for the whole process and passes
 * them no argument. So each call into wolfSSL is made between
 * wr_tls_memory_enter() and wr_tls_memory_leave(), which set the account to
 * charge, and a header in front of each allocation names its account for the
 * free. An account belongs to a loop and uses the loop's allocator. Without an
 * account memory is malloc()'s: for contexts, which threads share, and for
 * sessions, which may leave their thread.
 *
 * An open connection seals and opens records in buffers of a few sizes that
 * live for one call. These buffers come from the loop's blocks
 * (WR_TLS_MEMORY_BLOCKS), so that a steady exchange allocates nothing. A block
 * can be given away, so a sealed record is sent in the buffer in which wolfSSL
 * sealed it (wr_tls_memory_claim()).
 *
 * The system's wolfSSL is shared with other code of the program. Its allocator
 * is left alone, nothing is counted, and no record can be claimed.
 */
#ifndef WEIR_LIB_TLS_WOLFSSL_MEMORY_H
#define WEIR_LIB_TLS_WOLFSSL_MEMORY_H

#include "lib/tls/backend/backend.h"

struct wr_tls_memory {
    struct wr_tls_account account; /* first */
    uint64_t bytes;                /* live bytes, as requested */
    uint64_t count;                /* live allocations */
    void *spare;   /* a freed buffer of WR_TLS_MEMORY_SPARE bytes */
    void *newest;  /* newest live allocation in a block */
    void *claimed; /* becomes ready when wolfSSL frees it */
    bool failed;   /* an allocation failed since wr_tls_memory_enter() */
    struct wr_block *ready; /* for wr_tls_memory_take_claimed() */
};

enum wr_tls_memory_mode {
    WR_TLS_MEMORY_PLAIN,  /* long-lived memory: the exact size */
    WR_TLS_MEMORY_BLOCKS, /* memory for one call: from the blocks */
};

/* The size of a spare buffer for received records, which are up to this size,
 * between two classes of blocks; one is kept. */
#define WR_TLS_MEMORY_SPARE ((16u << 10) + 512u)

static inline struct wr_tls_memory *
wr_tls_memory_of(const struct wr_tls_account *account)
{
    return (struct wr_tls_memory *)(uintptr_t)account;
}

void wr_tls_memory_init(struct wr_tls_account *account,
                        struct wr_blocks *blocks);

/* All memory of the account must be freed before. */
void wr_tls_memory_fini(struct wr_tls_account *account);

void wr_tls_memory_check_invariants(const struct wr_tls_account *account);

/* Sets up wolfSSL for the process, once; any thread. 0 or WEIR_ETLSENGINE. Must
 * precede all other calls into wolfSSL; afterwards no first use writes to
 * wolfSSL's global variables. */
WEIR_MUST_USE int wr_tls_memory_start_library(void);

/* The previous account and mode, for wr_tls_memory_leave(). */
struct wr_tls_memory_scope {
    struct wr_tls_memory *memory;
    enum wr_tls_memory_mode mode;
};

/* This thread's calls into wolfSSL charge @memory from now on; NULL: none. */
WEIR_MUST_USE struct wr_tls_memory_scope
wr_tls_memory_enter(struct wr_tls_memory *memory, enum wr_tls_memory_mode mode);

void wr_tls_memory_leave(struct wr_tls_memory_scope before);

/* True if an allocation without an account has failed on this thread since the
 * last call. wolfSSL often reports another error for it. */
bool wr_tls_memory_take_failure(void);

/* True if @data was sealed in wolfSSL's newest block; then the block becomes
 * ready, not free, when wolfSSL frees it. */
WEIR_MUST_USE bool wr_tls_memory_claim(struct wr_tls_account *account,
                                       const void *data);

/* The claimed block, given, once wolfSSL has freed it; ->used is 0. */
struct wr_block *wr_tls_memory_take_claimed(struct wr_tls_account *account);

#endif
