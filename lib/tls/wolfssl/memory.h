/*
 * Counts the memory of wolfSSL.
 *
 * wolfSSL has one set of allocator functions for the whole process and passes
 * them no argument. So each call to wolfSSL is made between
 * wr_tls_memory_enter() and wr_tls_memory_leave(), which set the account to
 * charge, and a header before each allocation names its account for the free.
 * An account belongs to a loop and uses the loop's allocator. Without an
 * account, memory is malloc()'s: for contexts, which threads share, and for
 * sessions, which may leave their thread.
 *
 * An open connection seals and opens records in buffers of a few sizes that
 * live for one call. These buffers come from the loop's blocks
 * (WR_TLS_MEMORY_BLOCKS), so that steady traffic allocates nothing. A block can
 * change its owner, so a sealed record is sent in the buffer in which wolfSSL
 * sealed it (wr_tls_memory_claim()).
 *
 * The system's wolfSSL is shared with other code of the program. Then its
 * allocator is not replaced, nothing is counted, and no record can be claimed.
 */
#ifndef WEIR_LIB_TLS_WOLFSSL_MEMORY_H
#define WEIR_LIB_TLS_WOLFSSL_MEMORY_H

#include "lib/tls/backend/backend.h"

struct wr_tls_memory {
    struct wr_tls_account account; /* first member */
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

/* Size of a spare buffer for received records, which are up to this size. It is
 * between two block sizes, so one buffer is kept. */
#define WR_TLS_MEMORY_SPARE ((16u << 10) + 512u)

static inline struct wr_tls_memory *
wr_tls_memory_of(const struct wr_tls_account *account)
{
    return (struct wr_tls_memory *)(uintptr_t)account;
}

void wr_tls_memory_init(struct wr_tls_account *account,
                        struct wr_blocks *blocks);

/* All memory of the account must have been freed. */
void wr_tls_memory_fini(struct wr_tls_account *account);

void wr_tls_memory_check_invariants(const struct wr_tls_account *account);

/* Initializes wolfSSL for the process, once; may be called on any thread.
 * Returns 0 or WEIR_ETLSENGINE. Must precede all other calls to wolfSSL.
 * Afterwards no first use writes to wolfSSL's global variables. */
WEIR_MUST_USE int wr_tls_memory_start_library(void);

/* The previous account and mode, for wr_tls_memory_leave(). */
struct wr_tls_memory_scope {
    struct wr_tls_memory *memory;
    enum wr_tls_memory_mode mode;
};

/* Charges this thread's calls to wolfSSL to @memory from now on, or to no
 * account if it is NULL. */
WEIR_MUST_USE struct wr_tls_memory_scope
wr_tls_memory_enter(struct wr_tls_memory *memory, enum wr_tls_memory_mode mode);

void wr_tls_memory_leave(struct wr_tls_memory_scope before);

/* Returns true if an allocation without an account has failed on this thread
 * since the last call. wolfSSL often reports another error for it. */
bool wr_tls_memory_take_failure(void);

/* Returns true if @data was sealed in wolfSSL's newest block. When wolfSSL
 * frees that block, it is kept for wr_tls_memory_take_claimed(). */
WEIR_MUST_USE bool wr_tls_memory_claim(struct wr_tls_account *account,
                                       const void *data);

/* Returns the claimed block, with ownership, once wolfSSL has freed it; ->used
 * is 0. */
struct wr_block *wr_tls_memory_take_claimed(struct wr_tls_account *account);

#endif
