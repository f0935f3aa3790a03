/*
 * DER as a tree of elements, of which a test changes some.
 *
 * Extensions and keys are taken apart, too, where their bytes are DER. An
 * element has a tag, the form of its length, and content: bytes, or elements
 * behind each other.
 */
#ifndef WEIR_TESTS_UNIT_TLS_TREE_H
#define WEIR_TESTS_UNIT_TLS_TREE_H

#include "tests/unit/random.h"

#include <stddef.h>
#include <stdint.h>

enum { TREE_BYTES = 16 << 10, TREE_NODES = 1024, TREE_CONTENT = 300 };

struct tree_node {
    uint8_t tag;
    uint8_t length_form; /* 0: the shortest; see tls_tree.c */
    bool has_children;
    uint16_t prefix; /* bytes of the content before the children */
    int next;        /* the element behind; -1: none */
    int child;       /* the first one inside; -1: none */
    size_t size;
    uint8_t content[TREE_CONTENT];
};

struct tree {
    int count;
    struct tree_node nodes[TREE_NODES];
};

/* Takes DER apart; element 0 is the whole. */
void tree_read(struct tree *tree, const uint8_t *data, size_t size);

/* Element @index inside of another one. */
int tree_child(const struct tree *tree, int node, int index);

/* The last element behind this object identifier. */
int tree_behind(const struct tree *tree, const uint8_t *oid, size_t size);

/* Replaces a content. */
void tree_set(struct tree *tree, int node, const uint8_t *data, size_t size);

/* Writes an element; @ret has TREE_BYTES. Returns its size. */
size_t tree_write(const struct tree *tree, int node, uint8_t *ret);

/* Changes one element, of those in @node. */
void tree_change(struct tree *tree, int node, struct unit_random *random);

#endif
