/*
 * Counts wolfSSL's memory (wolfssl.h). The thread's account is a thread-local
 * variable, because wolfSSL passes only a size or a pointer to its allocator.
 * The variable is set only around calls to wolfSSL, so that no allocation is
 * charged to the wrong loop.
 */
#include "wolfssl.h"

#include "uring/alloc.h"

#include <weir/error.h>

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hash.h>

enum memory_kind { MEMORY_MALLOC, MEMORY_PLAIN, MEMORY_SPARE, MEMORY_BLOCK };

struct memory_header {
    struct wr_tls_memory *owner; /* NULL if from malloc() */
    uint32_t size;               /* as requested */
    uint32_t kind;
};

_Static_assert(WR_TLS_OUTPUT_OFFSET == sizeof(struct memory_header) + 16 - 5,
               "a record that was sealed in a block begins here");
_Static_assert(sizeof(struct memory_header) % _Alignof(max_align_t) == 0,
               "what follows a header is aligned as malloc()'s memory is");

#define MEMORY_BLOCK_MAX                                                       \
    ((16u << 10) - sizeof(struct wr_block) - sizeof(struct memory_header))

/* This model of thread-local storage saves a function call for each access. */
static _Thread_local struct wr_tls_memory_scope memory_scope
    __attribute__((tls_model("initial-exec")));
static _Thread_local bool
    memory_has_failed /* an allocation without an account */
    __attribute__((tls_model("initial-exec")));
static pthread_once_t memory_once = PTHREAD_ONCE_INIT;
static int memory_started;

static struct memory_header *memory_header_of(void *ptr)
{
    return (struct memory_header *)ptr - 1;
}

static void *memory_alloc(size_t size)
{
    struct wr_tls_memory *memory = memory_scope.memory;
    const size_t total = size + sizeof(struct memory_header);
    struct memory_header *header = NULL;

    if (size > INT_MAX) {
        return NULL; /* too large for ->size */
    }
    if (!memory) {
        header = malloc(total);
        if (header) {
            header->kind = MEMORY_MALLOC;
        }
    } else if (memory_scope.mode == WR_TLS_MEMORY_BLOCKS &&
               size <= MEMORY_BLOCK_MAX) {
        struct wr_block *block = wr_block_take(memory->account.blocks, total);
        if (block) {
            header = (void *)block->data;
            header->kind = MEMORY_BLOCK;
            memory->newest = header + 1;
        }
    } else if (memory_scope.mode == WR_TLS_MEMORY_BLOCKS &&
               total <= WR_TLS_MEMORY_SPARE) {
        header = memory->spare;
        memory->spare = NULL;
        if (!header) {
            header = wr_alloc(memory->account.allocator, WR_TLS_MEMORY_SPARE);
        }
        if (header) {
            header->kind = MEMORY_SPARE;
        }
    } else {
        header = wr_alloc(memory->account.allocator, total);
        if (header) {
            header->kind = MEMORY_PLAIN;
        }
    }
    if (header) {
        header->owner = memory;
        header->size = (uint32_t)size;
        if (memory) {
            memory->bytes += size;
            memory->count++;
        }
        return header + 1;
    }
    if (memory) {
        memory->failed = true;
    } else {
        memory_has_failed = true;
    }
    return NULL;
}

bool wr_tls_memory_take_failure(void)
{
    const bool has_failed = memory_has_failed;

    memory_has_failed = false;
    return has_failed;
}

static void memory_give_block(struct wr_tls_memory *memory,
                              struct memory_header *header)
{
    struct wr_block *block =
        wr_container_of((uint8_t *)header, struct wr_block, data);
    if (memory->newest == header + 1) {
        memory->newest = NULL;
    }
    if (memory->claimed != header + 1) {
        wr_block_give(memory->account.blocks, block);
        return;
    }
    wr_assert(!memory->ready);
    memory->claimed = NULL;
    memory->ready = block;
}

static void memory_give(struct wr_tls_memory *memory,
                        struct memory_header *header)
{
    const size_t total = header->size + sizeof(*header);
    wr_assert(memory->count > 0);
    wr_assert(memory->bytes >= header->size);
    memory->bytes -= header->size;
    memory->count--;
    if (header->kind == MEMORY_BLOCK) {
        memory_give_block(memory, header);
    } else if (header->kind == MEMORY_PLAIN) {
        wr_free(memory->account.allocator, header, total);
    } else if (memory->spare) {
        wr_free(memory->account.allocator, header, WR_TLS_MEMORY_SPARE);
    } else {
        memory->spare = header;
    }
}

static void memory_free(void *ptr)
{
    if (!ptr) {
        return;
    }
    struct memory_header *header = memory_header_of(ptr);
    if (!header->owner) {
        wr_assert(header->kind == MEMORY_MALLOC);
        free(header);
        return;
    }
    wr_assert(header->kind != MEMORY_MALLOC);
    memory_give(header->owner, header);
}

static void *memory_realloc(void *ptr, size_t size)
{
    void *moved = memory_alloc(size);
    if (moved && ptr) {
        memcpy(moved, ptr, wr_min_u64(size, memory_header_of(ptr)->size));
        memory_free(ptr);
    }
    return moved;
}

static int memory_try_cipher(const uint8_t key[32])
{
    Aes aes;
    int err = wc_AesInit(&aes, NULL, INVALID_DEVID);

    wr_assert(key != NULL);
    if (err == 0) {
        err = wc_AesGcmSetKey(&aes, key, 32);
        wc_AesFree(&aes);
    }
#if defined(HAVE_CHACHA) && defined(HAVE_POLY1305)
    if (err == 0) {
        uint8_t tag[CHACHA20_POLY1305_AEAD_AUTHTAG_SIZE];
        uint8_t text[32];
        err = wc_ChaCha20Poly1305_Encrypt(key, key, NULL, 0, key, sizeof(text),
                                          text, tag);
    }
#endif
    return err;
}

/* When an algorithm is first used, wolfCrypt detects the CPU's instructions and
 * stores the result in plain variables. This call, in one thread, avoids a race
 * between the first handshakes of several loops. */
static int memory_try_algorithms(void)
{
    static const uint8_t zeros[32];
    uint8_t digest[WC_SHA384_DIGEST_SIZE];
    int err = wc_Sha256Hash(zeros, sizeof(zeros), digest);

    wr_assert(!memory_scope.memory);
    if (err == 0) {
        /* Also prepares SHA-512. */
        err = wc_Sha384Hash(zeros, sizeof(zeros), digest);
    }
    if (err == 0) {
        err = memory_try_cipher(zeros);
    }
    return err;
}

static void memory_start_once(void)
{
    wr_assert(!memory_started);
#ifdef WR_TLS_OWN_WOLFSSL
    memory_started =
        wolfSSL_SetAllocators(memory_alloc, memory_free, memory_realloc);
#else
    (void)memory_alloc;
    (void)memory_free;
    (void)memory_realloc;
#endif
    if (memory_started == 0) {
        memory_started = wolfSSL_Init() == WOLFSSL_SUCCESS ? 0 : -1;
    }
    if (memory_started == 0) {
        memory_started = memory_try_algorithms();
    }
}

int wr_tls_memory_start_library(void)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    int err = pthread_once(&memory_once, memory_start_once);
    wr_tls_memory_leave(before);
    wr_assert(err == 0);
    return memory_started == 0 ? 0 : WEIR_ETLSENGINE;
}

void wr_tls_memory_check_invariants(const struct wr_tls_account *account)
{
    const struct wr_tls_memory *memory = wr_tls_memory_of(account);

    wr_assert(memory->bytes >= memory->count || memory->bytes == 0);
    wr_assert(!memory->claimed || !memory->ready);
    wr_assert(memory->count > 0 || !memory->newest);
    wr_assert(memory->count > 0 || !memory->claimed);
}

void wr_tls_memory_init(struct wr_tls_account *account,
                        struct wr_blocks *blocks)
{
    struct wr_tls_memory *memory = wr_tls_memory_of(account);

    wr_assert(blocks->allocator);
    *memory = (struct wr_tls_memory){
        .account = {.allocator = blocks->allocator, .blocks = blocks},
    };
}

void wr_tls_memory_fini(struct wr_tls_account *account)
{
    struct wr_tls_memory *memory = wr_tls_memory_of(account);

    wr_tls_memory_check_invariants(account);
    wr_assert(memory->count == 0);
    wr_assert(memory->bytes == 0);
    wr_assert(!memory->ready);
    wr_assert(memory_scope.memory != memory);
    wr_free(memory->account.allocator, memory->spare, WR_TLS_MEMORY_SPARE);
    memory->spare = NULL;
}

struct wr_tls_memory_scope wr_tls_memory_enter(struct wr_tls_memory *memory,
                                               enum wr_tls_memory_mode mode)
{
    struct wr_tls_memory_scope before = memory_scope;
    memory_scope = (struct wr_tls_memory_scope){.memory = memory, .mode = mode};
    if (memory) {
        memory->failed = false;
    }
    return before;
}

void wr_tls_memory_leave(struct wr_tls_memory_scope before)
{
    memory_scope = before;
}

bool wr_tls_memory_claim(struct wr_tls_account *account, const void *data)
{
    struct wr_tls_memory *memory = wr_tls_memory_of(account);
    const size_t gap = WR_TLS_OUTPUT_OFFSET - sizeof(struct memory_header);
    if (!memory->newest || (const uint8_t *)data - gap != memory->newest) {
        return false;
    }
    wr_assert(!memory->claimed);
    wr_assert(!memory->ready);
    memory->claimed = memory->newest;
    return true;
}

struct wr_block *wr_tls_memory_take_claimed(struct wr_tls_account *account)
{
    struct wr_tls_memory *memory = wr_tls_memory_of(account);
    struct wr_block *block = memory->ready;
    wr_assert(!memory->claimed); /* wolfSSL frees a buffer that was sent */
    memory->ready = NULL;
    return block;
}
