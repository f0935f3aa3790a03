/*
 * The memory of wolfSSL, counted.
 *
 * wolfSSL knows one pair of allocator functions for the whole process and does
 * not tell them for whom they allocate. Around each call into it the thread
 * therefore names the account that is charged (wr_tls_memory_enter(),
 * wr_tls_memory_leave()), and a header in front of each allocation says whose
 * it is when it is freed. An account is a loop's; its memory is the loop's
 * allocator's. Without an account wolfSSL's memory is malloc()'s: all that a
 * context holds, which several threads share, is allocated so. An object that
 * may leave its thread, a session to be resumed, is made without an account.
 *
 * An open connection seals and opens records in buffers of a few sizes that
 * live for one call: these come from the loop's blocks (WR_TLS_MEMORY_BLOCKS),
 * so that a steady exchange allocates nothing. And as a block can be given
 * away, a sealed record leaves in the buffer in which wolfSSL sealed it
 * (wr_tls_memory_claim()).
 *
 * A wolfSSL of the system's is shared with other code of the program. Its
 * allocator is left alone, nothing is counted, and no record can be claimed.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_MEMORY_H
#define WEIR_LIB_TLS_CONTEXT_MEMORY_H

#include "uring/block.h"

#include <weir/base.h>

struct wr_tls_memory {
    const struct weir_allocator *allocator;
    struct wr_blocks *blocks;
    uint64_t bytes;         /* live, as asked for */
    uint64_t count;         /* live allocations */
    void *spare;            /* a freed buffer of WR_TLS_MEMORY_SPARE bytes */
    void *newest;           /* the newest allocation in a block, if it lives */
    void *claimed;          /* it becomes ready when wolfSSL frees it */
    bool failed;            /* an allocation, since wr_tls_memory_enter() */
    struct wr_block *ready; /* its block, for wr_tls_memory_take_claimed() */
};

enum wr_tls_memory_mode {
    WR_TLS_MEMORY_PLAIN,  /* what is allocated lives long: as large as asked */
    WR_TLS_MEMORY_BLOCKS, /* it lives for one call: from the blocks */
};

/* Where a claimed record begins in its block: behind the header of memory.c and
 * the gap by which wolfSSL aligns what it seals. */
#define WR_TLS_MEMORY_RECORD_OFFSET 27u

/* The buffers for a whole record that arrives are of a size between two classes
 * of blocks: this one, or a little less; one is kept. */
#define WR_TLS_MEMORY_SPARE ((16u << 10) + 512u)

void wr_tls_memory_init(struct wr_tls_memory *memory, struct wr_blocks *blocks);

/* Nothing may be charged to it any more. */
void wr_tls_memory_fini(struct wr_tls_memory *memory);

void wr_tls_memory_check_invariants(const struct wr_tls_memory *memory);

/* Sets up wolfSSL for the process, once; any thread. 0 or WEIR_ETLSENGINE. It
 * comes before all other calls into wolfSSL, and leaves nothing in it that is
 * written when it is first used. */
WEIR_MUST_USE int wr_tls_memory_start_library(void);

/* The account, and how, before; for wr_tls_memory_leave(). */
struct wr_tls_memory_scope {
    struct wr_tls_memory *memory;
    enum wr_tls_memory_mode mode;
};

/* From here on this thread's calls into wolfSSL charge @memory; NULL: none. */
WEIR_MUST_USE struct wr_tls_memory_scope
wr_tls_memory_enter(struct wr_tls_memory *memory, enum wr_tls_memory_mode mode);

void wr_tls_memory_leave(struct wr_tls_memory_scope before);

/* Whether an allocation of this thread without an account has failed since this
 * was asked last. wolfSSL has other words for it in many places. */
bool wr_tls_memory_take_failure(void);

/* Whether wolfSSL sealed @data in a block that is its newest buffer; if so, the
 * block becomes ready instead of free as soon as wolfSSL frees it. */
WEIR_MUST_USE bool wr_tls_memory_claim(struct wr_tls_memory *memory,
                                       const void *data);

/* The claimed block, given, once wolfSSL has freed it; used = 0. */
struct wr_block *wr_tls_memory_take_claimed(struct wr_tls_memory *memory);

#endif
