/*
 * Directory names: iteration over their attributes, and their comparison.
 * Values of the same type are equal if their bytes are equal. Otherwise only
 * ASCII texts (PrintableString, UTF8String, IA5String) can be compared.
 */
#include "directory.h"

#include "uring/check.h"

#include <string.h>

enum {
    DIRECTORY_UTF8 = 0x0c,
    DIRECTORY_PRINTABLE = 0x13,
    DIRECTORY_IA5 = 0x16,
};

static const uint8_t directory_oid_common[] = {0x55, 0x04};
static const uint8_t directory_oid_pkcs9[] = {0x2a, 0x86, 0x48, 0x86,
                                              0xf7, 0x0d, 0x01, 0x09};

void wr_x509_directory_open(struct wr_x509_directory *directory,
                            struct wr_bytes name)
{
    *directory = (struct wr_x509_directory){.set = {NULL, 0}};
    const bool is_name = wr_der_take(&name, WR_DER_SEQUENCE, &directory->sets);
    wr_assert(is_name && name.size == 0);
}

/* Returns false even at the end of the name. */
static bool directory_take(struct wr_x509_directory *directory,
                           struct wr_x509_attribute *ret)
{
    struct wr_bytes pair;

    wr_assert(directory->sets.data != NULL);
    ret->is_next_set = directory->set.size == 0;
    if (ret->is_next_set &&
        (!wr_der_take(&directory->sets, WR_DER_SET, &directory->set) ||
         directory->set.size == 0)) {
        return false;
    }
    return wr_der_take(&directory->set, WR_DER_SEQUENCE, &pair) &&
           wr_der_take_oid(&pair, &ret->oid) &&
           wr_der_take_any(&pair, &ret->tag, &ret->value) && pair.size == 0;
}

static bool directory_is_at_end(const struct wr_x509_directory *directory)
{
    return directory->sets.size == 0 && directory->set.size == 0;
}

/* Attributes that RFC 5280 (appendix A.1) defines as strings must be strings.
 * Other attributes under 2.5.4, such as postalAddress, may have any type. */
static bool directory_has_value(const struct wr_x509_attribute *attribute)
{
    static const uint8_t numbers[] = {3,  4,  5,  6,  7,  8,  10, 11,
                                      12, 41, 42, 43, 44, 46, 65};
    static const uint8_t strings[] = {
        DIRECTORY_UTF8, DIRECTORY_PRINTABLE, 0x14, DIRECTORY_IA5, 0x1c, 0x1e};
    uint8_t last = 0;

    wr_assert(attribute->oid.data != NULL);
    return !WR_DER_IS_OF(&attribute->oid, directory_oid_common, &last) ||
           !memchr(numbers, last, sizeof(numbers)) ||
           memchr(strings, attribute->tag, sizeof(strings));
}

bool wr_x509_directory_is_good(struct wr_bytes name)
{
    struct wr_x509_directory directory = {.set = {NULL, 0}};
    struct wr_x509_attribute attribute;

    wr_assert(name.data != NULL);
    if (!wr_der_take(&name, WR_DER_SEQUENCE, &directory.sets) ||
        name.size > 0) {
        return false;
    }
    while (!directory_is_at_end(&directory)) {
        if (!directory_take(&directory, &attribute) ||
            !directory_has_value(&attribute)) {
            return false;
        }
    }
    return true;
}

bool wr_x509_directory_next(struct wr_x509_directory *directory,
                            struct wr_x509_attribute *ret)
{
    if (directory_is_at_end(directory)) {
        return false;
    }
    const bool is_one = directory_take(directory, ret);
    wr_assert(is_one);
    return true;
}

bool wr_x509_attribute_is(const struct wr_x509_attribute *attribute,
                          uint8_t number)
{
    uint8_t last = 0;
    return WR_DER_IS_OF(&attribute->oid, directory_oid_common, &last) &&
           last == number;
}

bool wr_x509_attribute_is_mail(const struct wr_x509_attribute *attribute)
{
    uint8_t last = 0;
    return WR_DER_IS_OF(&attribute->oid, directory_oid_pkcs9, &last) &&
           last == 1;
}

static bool directory_is_ascii(const struct wr_x509_attribute *attribute)
{
    wr_assert(attribute->value.data != NULL);
    if (attribute->tag != DIRECTORY_UTF8 &&
        attribute->tag != DIRECTORY_PRINTABLE &&
        attribute->tag != DIRECTORY_IA5) {
        return false;
    }
    for (size_t i = 0; i < attribute->value.size; i++) {
        if (attribute->value.data[i] < 0x20 ||
            attribute->value.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Returns the next character in lower case, or 0 at the end. Several blanks
 * count as one; blanks at the start and at the end are skipped. */
static uint8_t directory_take_character(struct wr_bytes *text, bool is_first)
{
    bool has_blank = false;

    while (text->size > 0 && text->data[0] == ' ') {
        text->data++;
        text->size--;
        has_blank = true;
    }
    if (text->size == 0) {
        return 0;
    }
    if (has_blank && !is_first) {
        return ' '; /* the next call returns the character */
    }
    const uint8_t c = text->data[0];
    text->data++;
    text->size--;
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool directory_is_same_text(struct wr_bytes a, struct wr_bytes b)
{
    bool is_first = true;

    wr_assert(a.data && b.data);
    for (;;) {
        const uint8_t from_a = directory_take_character(&a, is_first);
        const uint8_t from_b = directory_take_character(&b, is_first);
        if (from_a != from_b) {
            return false;
        }
        if (from_a == 0) {
            return true;
        }
        is_first = false;
    }
}

static enum wr_x509_directory_match
directory_compare_attributes(const struct wr_x509_attribute *a,
                             const struct wr_x509_attribute *b)
{
    wr_assert(a->oid.data && b->oid.data);
    if (!wr_der_is_equal(&a->oid, &b->oid)) {
        return WR_X509_DIRECTORY_OTHER;
    }
    if (a->tag == b->tag && wr_der_is_equal(&a->value, &b->value)) {
        return WR_X509_DIRECTORY_WITHIN;
    }
    if (!directory_is_ascii(a) || !directory_is_ascii(b)) {
        return WR_X509_DIRECTORY_UNSURE;
    }
    return directory_is_same_text(a->value, b->value) ? WR_X509_DIRECTORY_WITHIN
                                                      : WR_X509_DIRECTORY_OTHER;
}

bool wr_x509_budget_pay(size_t *budget, size_t cost)
{
    const bool is_enough = cost <= *budget;

    wr_assert(cost > 0);
    *budget = is_enough ? *budget - cost : 0;
    return is_enough;
}

/* Returns the best match of @a in the set of @name that starts with @first. */
static enum wr_x509_directory_match
directory_find(const struct wr_x509_attribute *a, struct wr_x509_directory name,
               const struct wr_x509_attribute *first, size_t *budget)
{
    struct wr_x509_attribute b = *first;
    enum wr_x509_directory_match best = WR_X509_DIRECTORY_OTHER;

    wr_assert(first->is_next_set);
    for (;;) {
        if (!wr_x509_budget_pay(budget,
                                1 + (a->value.size + b.value.size) / 64)) {
            return WR_X509_DIRECTORY_MANY;
        }
        const enum wr_x509_directory_match match =
            directory_compare_attributes(a, &b);
        best = match > best ? match : best;
        if (name.set.size == 0 || !wr_x509_directory_next(&name, &b)) {
            return best;
        }
    }
}

enum wr_x509_directory_match wr_x509_directory_compare(struct wr_bytes base,
                                                       struct wr_bytes name,
                                                       size_t *budget)
{
    struct wr_x509_directory bases;
    struct wr_x509_directory names;
    struct wr_x509_attribute a;
    struct wr_x509_attribute b = {.tag = 0};
    enum wr_x509_directory_match worst = WR_X509_DIRECTORY_WITHIN;

    wr_x509_directory_open(&bases, base);
    wr_x509_directory_open(&names, name);
    while (worst != WR_X509_DIRECTORY_OTHER &&
           wr_x509_directory_next(&bases, &a)) {
        if (a.is_next_set) {
            names.set.size = 0; /* skip the rest of the previous set */
            if (!wr_x509_directory_next(&names, &b)) {
                return WR_X509_DIRECTORY_OTHER;
            }
        }
        const enum wr_x509_directory_match match =
            directory_find(&a, names, &b, budget);
        if (match == WR_X509_DIRECTORY_MANY) {
            return match;
        }
        worst = match < worst ? match : worst;
    }
    return worst;
}
