/*
 * DER as a tree of elements, some of which a test changes.
 *
 * Extensions and keys whose bytes are DER are parsed, too. An element has a
 * tag, the form of its length, and content: bytes or child elements.
 */
#ifndef WEIR_TESTS_UNIT_TLS_TREE_H
#define WEIR_TESTS_UNIT_TLS_TREE_H

#include "tests/unit/random.h"

#include <stddef.h>
#include <stdint.h>

enum { TREE_BYTES = 16 << 10, TREE_NODES = 1024, TREE_CONTENT = 300 };

struct tree_node {
    uint8_t tag;
    uint8_t length_form; /* 0 is the shortest form; see tls_tree.c */
    bool has_children;
    uint16_t prefix; /* bytes of the content before the children */
    int next;        /* the next element; -1 is none */
    int child;       /* the first child; -1 is none */
    size_t size;
    uint8_t content[TREE_CONTENT];
};

struct tree {
    int count;
    struct tree_node nodes[TREE_NODES];
};

/* Parses DER; element 0 is the whole. */
void tree_read(struct tree *tree, const uint8_t *data, size_t size);

/* Returns the child element @index of an element. */
int tree_child(const struct tree *tree, int node, int index);

/* Returns the last element after this object identifier. */
int tree_behind(const struct tree *tree, const uint8_t *oid, size_t size);

/* Replaces an element's content. */
void tree_set(struct tree *tree, int node, const uint8_t *data, size_t size);

/* Writes an element to @ret, of TREE_BYTES. Returns its size. */
size_t tree_write(const struct tree *tree, int node, uint8_t *ret);

/* Changes one random element inside @node. */
void tree_change(struct tree *tree, int node, struct unit_random *random);

#endif
