/*
 * The tree of DER: parsing, writing, and random changes; see tls_tree.h.
 *
 * Elements are in an array, and refer to the next one and their first child by
 * number. A change links, copies or replaces some of them.
 */
#include "tests/unit/tls_tree.h"

#include "lib/x509/der.h"
#include "tests/unit.h"

#include <string.h>

/* Forms of lengths. */
enum { SHORTEST, LONGER, INDEFINITE, WRONG };

static int tree_new(struct tree *tree, uint8_t tag)
{
    cr_assert_lt(tree->count, TREE_NODES);
    struct tree_node *node = &tree->nodes[tree->count];
    *node = (struct tree_node){.tag = tag, .next = -1, .child = -1};
    return tree->count++;
}

/* Returns true if all of these bytes are elements. */
static bool tree_is_der(struct wr_bytes from)
{
    struct wr_bytes inside;
    uint8_t tag = 0;

    if (from.size == 0) {
        return false;
    }
    while (from.size > 0) {
        if (!wr_der_take_any(&from, &tag, &inside)) {
            return false;
        }
    }
    return true;
}

static int tree_read_list(struct tree *tree, struct wr_bytes from, int depth);

static void tree_read_content(struct tree *tree, int at, struct wr_bytes inside,
                              int depth)
{
    struct tree_node *node = &tree->nodes[at];
    const struct wr_bytes behind = {inside.data + 1, inside.size - 1};
    const bool is_bits = node->tag == WR_DER_BIT_STRING && inside.size > 1 &&
                         inside.data[0] == 0 && behind.data[0] == 0x30 &&
                         tree_is_der(behind);
    node->prefix = is_bits;
    node->has_children =
        depth < 16 &&
        (is_bits || ((node->tag & 0x20) && tree_is_der(inside)) ||
         (node->tag == WR_DER_OCTET_STRING && tree_is_der(inside)));
    if (node->has_children) {
        node->child =
            tree_read_list(tree, is_bits ? behind : inside, depth + 1);
    } else {
        cr_assert_leq(inside.size, sizeof(node->content));
        memcpy(node->content, inside.data, inside.size);
        node->size = inside.size;
    }
}

/* Parses elements that follow each other. Returns the first one. */
static int tree_read_list(struct tree *tree, struct wr_bytes from, int depth)
{
    struct wr_bytes inside;
    uint8_t tag = 0;
    int first = -1;
    int last = -1;

    while (from.size > 0 && wr_der_take_any(&from, &tag, &inside)) {
        const int at = tree_new(tree, tag);
        tree_read_content(tree, at, inside, depth);
        if (last >= 0) {
            tree->nodes[last].next = at;
        } else {
            first = at;
        }
        last = at;
    }
    return first;
}

void tree_read(struct tree *tree, const uint8_t *data, size_t size)
{
    tree->count = 0;
    cr_assert_eq(tree_read_list(tree, (struct wr_bytes){data, size}, 0), 0);
}

int tree_child(const struct tree *tree, int node, int index)
{
    int at = tree->nodes[node].child;
    while (index-- > 0) {
        at = tree->nodes[at].next;
    }
    cr_assert_geq(at, 0);
    return at;
}

int tree_behind(const struct tree *tree, const uint8_t *oid, size_t size)
{
    for (int i = 0; i < tree->count; i++) {
        const struct tree_node *node = &tree->nodes[i];
        if (node->tag == WR_DER_OID && node->size == size &&
            memcmp(node->content, oid, size) == 0) {
            int at = i;
            while (tree->nodes[at].next >= 0) {
                at = tree->nodes[at].next;
            }
            return at;
        }
    }
    cr_assert_fail("no such identifier");
    return -1;
}

void tree_set(struct tree *tree, int node, const uint8_t *data, size_t size)
{
    cr_assert_leq(size, (size_t)TREE_CONTENT);
    memcpy(tree->nodes[node].content, data, size);
    tree->nodes[node].size = size;
    tree->nodes[node].has_children = false;
}

static size_t tree_write_length(size_t size, uint8_t form, uint8_t *ret)
{
    const uint8_t longest[] = {0x83, 0, (uint8_t)(size >> 8), (uint8_t)size};
    size_t len = size < 0x80 ? 1 : size <= UINT8_MAX ? 2 : 3;

    if (form == INDEFINITE) {
        ret[0] = 0x80;
        return 1;
    }
    if (form == LONGER) {
        memcpy(ret, longest, sizeof(longest));
        return sizeof(longest);
    }
    size += form == WRONG;
    for (size_t i = len; i-- > 0; size >>= 8) {
        ret[i] = (uint8_t)size;
    }
    if (len > 1) {
        ret[0] = (uint8_t)(0x80 | (len - 1));
    }
    return len;
}

size_t tree_write(const struct tree *tree, int at, uint8_t *ret)
{
    const struct tree_node *node = &tree->nodes[at];
    uint8_t *inside = malloc(TREE_BYTES);
    size_t size = 0;

    if (node->has_children) {
        memset(inside, 0, node->prefix);
        size = node->prefix;
        for (int i = node->child; i >= 0; i = tree->nodes[i].next) {
            size += tree_write(tree, i, inside + size);
        }
    } else {
        memcpy(inside, node->content, node->size);
        size = node->size;
    }
    ret[0] = node->tag;
    size_t head = 1 + tree_write_length(size, node->length_form, ret + 1);
    memcpy(ret + head, inside, size);
    free(inside);
    if (node->length_form == INDEFINITE) {
        memset(ret + head + size, 0, 2);
        size += 2;
    }
    return head + size;
}

/* Lists the elements in @node, in order. */
static int tree_list(const struct tree *tree, int node, int *ret, int count)
{
    ret[count++] = node;
    for (int i = tree->nodes[node].child; i >= 0; i = tree->nodes[i].next) {
        if (tree->nodes[node].has_children) {
            count = tree_list(tree, i, ret, count);
        }
    }
    return count;
}

/* Returns the link to an element. */
static int *tree_link_to(struct tree *tree, int at)
{
    for (int i = 0; i < tree->count; i++) {
        if (tree->nodes[i].next == at) {
            return &tree->nodes[i].next;
        }
        if (tree->nodes[i].child == at) {
            return &tree->nodes[i].child;
        }
    }
    return NULL;
}

static int tree_copy(struct tree *tree, int at)
{
    const int copy = tree_new(tree, 0);
    struct tree_node *to = &tree->nodes[copy];
    *to = tree->nodes[at];
    to->next = -1;
    if (to->has_children) {
        int *link = &to->child;
        for (int i = to->child; i >= 0; i = tree->nodes[i].next) {
            *link = tree_copy(tree, i);
            link = &tree->nodes[*link].next;
        }
        *link = -1;
    }
    return copy;
}

static int tree_random_element(struct tree *tree, struct unit_random *random)
{
    static const uint8_t tags[] = {1,    2,    3,    4,    5,    6,    12,
                                   19,   22,   23,   0x30, 0x31, 0x80, 0x81,
                                   0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa3, 0xa4};
    const int at =
        tree_new(tree, tags[unit_random_below(random, sizeof(tags))]);
    struct tree_node *node = &tree->nodes[at];
    node->size = unit_random_below(random, 4);
    for (size_t i = 0; i < node->size; i++) {
        node->content[i] = (uint8_t)unit_random_next(random);
    }
    return at;
}

static void tree_change_content(struct tree *tree, int at,
                                struct unit_random *random)
{
    struct tree_node *node = &tree->nodes[at];
    const uint8_t byte =
        (uint8_t)(unit_random_below(random, 2) ? unit_random_next(random) : 0);
    if (node->has_children) {
        const int more = tree_random_element(tree, random);
        tree->nodes[more].next = node->child;
        node->child = more;
        return;
    }
    switch (unit_random_below(random, 6)) {
    case 0:
        if (node->size < TREE_CONTENT) {
            node->content[node->size++] = byte;
        }
        break;
    case 1:
        node->size -= node->size > 0;
        break;
    case 2:
        if (node->size < TREE_CONTENT) {
            memmove(node->content + 1, node->content, node->size++);
            node->content[0] = byte;
        }
        break;
    case 3:
        node->size = 0;
        break;
    default:
        if (node->size > 0) {
            node->content[unit_random_below(random, node->size)] =
                (uint8_t)unit_random_next(random);
        }
    }
}

static void tree_change_place(struct tree *tree, int at, int other,
                              struct unit_random *random)
{
    int *link = tree_link_to(tree, at);
    int made = 0;

    switch (link ? unit_random_below(random, 5) : 5) {
    case 0: /* removed */
        *link = tree->nodes[at].next;
        break;
    case 1: /* duplicated */
        made = tree_copy(tree, at);
        tree->nodes[made].next = tree->nodes[at].next;
        tree->nodes[at].next = made;
        break;
    case 2: /* one more after it */
        made = tree_random_element(tree, random);
        tree->nodes[made].next = tree->nodes[at].next;
        tree->nodes[at].next = made;
        break;
    case 3: /* replaced by another one */
        made = tree_copy(tree, other);
        tree->nodes[made].next = tree->nodes[at].next;
        *tree_link_to(tree, at) = made;
        break;
    case 4: /* swapped */
        if (tree->nodes[at].next >= 0) {
            const int next = tree->nodes[at].next;
            tree->nodes[at].next = tree->nodes[next].next;
            tree->nodes[next].next = at;
            *link = next;
        }
        break;
    default:
        tree_change_content(tree, at, random);
    }
}

void tree_change(struct tree *tree, int node, struct unit_random *random)
{
    static int all[TREE_NODES];
    const int count = tree_list(tree, node, all, 0);
    const int at = all[unit_random_below(random, (uint64_t)count)];
    const int other = all[unit_random_below(random, (uint64_t)count)];

    switch (unit_random_below(random, 8)) {
    case 0:
        tree->nodes[at].tag ^= (uint8_t)(1u << unit_random_below(random, 8));
        break;
    case 1:
        tree->nodes[at].tag = tree->nodes[other].tag;
        break;
    case 2:
        tree->nodes[at].length_form =
            (uint8_t)(1 + unit_random_below(random, 3));
        break;
    case 3:
    case 4:
        tree_change_content(tree, at, random);
        break;
    default:
        tree_change_place(tree, at, other, random);
    }
}
