/*
 * A linear table: there are few kinds of errors, and counting is not on the
 * hot path. Events of kinds beyond the table's size are counted without
 * their kind.
 */
#include "measure.h"

#include "tools/common/http_head.h"

#include "weir/error.h"

#define ERROR_PHASE_NAME(name, text) text,
#define ERROR_ROW(name, text)        {#name, text},

static const char *const phase_names[] = {ERROR_PHASES(ERROR_PHASE_NAME)};

static const struct own_code {
    const char *name;
    const char *text;
} own_codes[] = {ERROR_CODES(ERROR_ROW)};

static const struct own_code *find_own(int code)
{
    return code > ERROR_BEFORE && code < ERROR_BEHIND
               ? &own_codes[code - ERROR_BEFORE - 1]
               : NULL;
}

struct error_kind *errors_add(struct error_table *table, enum error_phase phase,
                              int code, uint64_t requests)
{
    for (size_t i = 0; i < table->kind_count; i++) {
        struct error_kind *kind = &table->kinds[i];
        if (kind->phase == phase && kind->code == code) {
            kind->count++;
            kind->requests += requests;
            return NULL;
        }
    }
    if (table->kind_count == ERRORS_KINDS) {
        table->other_count++;
        return NULL;
    }
    struct error_kind *kind = &table->kinds[table->kind_count++];
    *kind = (struct error_kind){
        .phase = phase, .code = code, .count = 1, .requests = requests};
    return kind;
}

static struct error_kind *find_kind(struct error_table *table,
                                    const struct error_kind *like)
{
    for (size_t i = 0; i < table->kind_count; i++) {
        struct error_kind *kind = &table->kinds[i];
        if (kind->phase == like->phase && kind->code == like->code) {
            return kind;
        }
    }
    return NULL;
}

void errors_merge(struct error_table *table, const struct error_table *from)
{
    table->other_count += from->other_count;
    for (size_t i = 0; i < from->kind_count; i++) {
        const struct error_kind *kind = &from->kinds[i];
        struct error_kind *own = find_kind(table, kind);
        if (own) {
            own->count += kind->count;
            own->requests += kind->requests;
        } else if (table->kind_count < ERRORS_KINDS) {
            table->kinds[table->kind_count++] = *kind;
        } else {
            table->other_count += kind->count;
        }
    }
}

/* Computes the new events. Kinds keep their index in a table, so @seen uses the
 * same index. */
void errors_since(const struct error_table *table, struct error_counts *seen,
                  struct error_counts *ret)
{
    ret->kind_count = 0;
    ret->other_count = table->other_count - seen->other_count;
    seen->other_count = table->other_count;
    for (size_t i = 0; i < table->kind_count; i++) {
        const struct error_kind *kind = &table->kinds[i];
        uint64_t before = i < seen->kind_count ? seen->kinds[i].count : 0;
        if (kind->count > before) {
            ret->kinds[ret->kind_count++] = (struct error_count){
                kind->phase, kind->code, kind->count - before};
        }
        seen->kinds[i].count = kind->count;
    }
    seen->kind_count = table->kind_count;
}

static void add_count(struct error_counts *sum, const struct error_count *like)
{
    for (size_t i = 0; i < sum->kind_count; i++) {
        struct error_count *own = &sum->kinds[i];
        if (own->phase == like->phase && own->code == like->code) {
            own->count += like->count;
            return;
        }
    }
    if (sum->kind_count < ERRORS_KINDS) {
        sum->kinds[sum->kind_count++] = *like;
    } else {
        sum->other_count += like->count;
    }
}

void errors_add_counts(struct error_counts *sum,
                       const struct error_counts *from)
{
    sum->other_count += from->other_count;
    for (size_t i = 0; i < from->kind_count; i++) {
        add_count(sum, &from->kinds[i]);
    }
}

const char *error_phase_name(enum error_phase phase)
{
    return phase_names[phase];
}

const char *error_code_name(int code)
{
    const struct own_code *own = find_own(code);

    if (own) {
        return own->name;
    }
    const char *http = http_error_name(code);
    http = http ? http : h2_error_name(code);
    http = http ? http : redis_error_name(code);
    return http ? http : weir_err_name(code);
}

const char *error_code_text(int code)
{
    const struct own_code *own = find_own(code);

    if (own) {
        return own->text;
    }
    if (h2_error_name(code)) {
        return h2_error_text(code);
    }
    if (redis_error_name(code)) {
        return redis_error_text(code);
    }
    return http_error_name(code) ? http_error_text(code) : weir_strerror(code);
}
