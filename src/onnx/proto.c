/*
 * proto.c - decodes protobuf messages into arena structs by the tables of proto_tables.c.
 *
 * Two passes over the fields of a message: the first counts and checks, the second fills arrays of exactly that size.
 * So a message needs memory in proportion to its own bytes, whatever the numbers in it claim. Called by the importer
 * and the .pb reader. It must not know graphs.
 */
#include "onnx/proto.h"

#include <string.h>

enum { MAX_FIELDS = 24 };

typedef struct step { /* where in the message tree we are */
    const char *field;
    size_t index;
    bool repeated;
} step;

typedef struct decoder {
    lt_arena *arena;
    const unsigned char *base; /* of the whole file, for byte offsets */
    const char *where;
    lathe_diag *diag;
    int depth;
    step path[LT_MAX_DEPTH];
} decoder;

typedef struct tally {        /* of one message, by index in its table */
    size_t count[MAX_FIELDS]; /* elements */
    size_t runs[MAX_FIELDS];  /* fields that gave them */
    size_t unknown;
} tally;

static lathe_status fail(decoder *d, const unsigned char *at, const char *problem)
{
    char path[512] = "";
    size_t used = 0;
    for (int i = 0; i < d->depth && used + 1 < sizeof path; i++) {
        int n = d->path[i].repeated
                    ? snprintf(path + used, sizeof path - used, "%s%s[%zu]", i > 0 ? "." : "", d->path[i].field,
                               d->path[i].index)
                    : snprintf(path + used, sizeof path - used, "%s%s", i > 0 ? "." : "", d->path[i].field);
        used += n > 0 ? (size_t)n : 0;
    }
    return LT_FAIL(d->diag, LATHE_BAD_MODEL, d->where, "the file is damaged, cut short or no ONNX file",
                   "%s%s%s at byte %zu", problem, path[0] != '\0' ? ", in " : "", path, (size_t)(at - d->base));
}

static const lt_pb_field *find_field(const lt_pb_message *message, uint32_t number, size_t *index)
{
    for (size_t i = 0; message->fields[i].number != 0; i++) {
        if (message->fields[i].number == number) {
            *index = i;
            return &message->fields[i];
        }
    }
    return NULL;
}

static const char *count_varints(const unsigned char *data, size_t size, size_t *count)
{
    lt_wire run = { data, data + size };
    uint64_t value;
    const char *problem = NULL;
    for (*count = 0; run.at != run.end && problem == NULL; ++*count) {
        problem = lt_wire_varint(&run, &value);
    }
    return problem;
}

/* How many elements this field on the wire adds to a field of the message; NULL or what is wrong. */
static const char *count_elements(const lt_pb_field *field, const lt_wire_field *wire, size_t *elements)
{
    static const char *const wrong = "a field has a wire type that its message does not allow";
    *elements = 1;
    switch (field->kind) {
    case LT_PB_INT:
        return wire->type == LT_WIRE_VARINT ? NULL : wrong;
    case LT_PB_F32:
        return wire->type == LT_WIRE_FIXED32 ? NULL : wrong;
    case LT_PB_INTS:
        if (wire->type == LT_WIRE_BYTES) {
            return count_varints(wire->data, wire->size, elements);
        }
        return wire->type == LT_WIRE_VARINT ? NULL : wrong;
    case LT_PB_FLOATS:
    case LT_PB_DOUBLES: {
        size_t width = field->kind == LT_PB_FLOATS ? 4 : 8;
        if (wire->type == LT_WIRE_BYTES) {
            *elements = wire->size / width;
            return wire->size % width == 0 ? NULL : "a packed run ends inside a number";
        }
        return wire->type == (width == 4 ? LT_WIRE_FIXED32 : LT_WIRE_FIXED64) ? NULL : wrong;
    }
    default:
        return wire->type == LT_WIRE_BYTES ? NULL : wrong;
    }
}

static lathe_status count_fields(decoder *d, const lt_pb_message *message, lt_wire wire, tally *t)
{
    for (;;) {
        lt_wire_field field;
        bool more;
        size_t index = 0, elements;
        const unsigned char *start = wire.at;
        const char *problem = lt_wire_read(&wire, &field, &more);
        if (problem == NULL && !more) {
            return LATHE_OK;
        }
        const lt_pb_field *known = problem == NULL ? find_field(message, field.number, &index) : NULL;
        if (known != NULL) {
            problem = count_elements(known, &field, &elements);
            if (problem == NULL) {
                t->count[index] += elements;
                t->runs[index]++;
                if (known->kind == LT_PB_MSG && t->runs[index] > 1) {
                    problem = "a message that may occur once is given twice";
                }
            }
        } else {
            t->unknown++;
        }
        if (problem != NULL) {
            return fail(d, start, problem);
        }
    }
}

/* Every repeated field is laid out as {pointer, count}. */
static void *element_at(void *out, const lt_pb_field *field)
{
    return (char *)out + field->offset;
}

static lathe_status allocate(decoder *d, const lt_pb_message *message, const tally *t, void *out)
{
    lt_pb_head *head = out;
    for (size_t i = 0; message->fields[i].number != 0; i++) {
        const lt_pb_field *field = &message->fields[i];
        lt_pb_list list = { NULL, t->count[i] };
        bool in_file = false;
        if (t->runs[i] > 0) {
            head->has |= 1ull << field->number;
        }
        if (t->count[i] == 0) {
            continue;
        }
        switch (field->kind) {
        case LT_PB_INTS:
            list.at = lt_arena_zero(d->arena, list.count, sizeof(int64_t), _Alignof(int64_t));
            break;
        case LT_PB_FLOATS:
        case LT_PB_DOUBLES: /* one run stays where it is in the file */
            in_file = t->runs[i] == 1;
            list.at = in_file ? NULL : lt_arena_zero(d->arena, list.count, field->kind == LT_PB_FLOATS ? 4 : 8, 8);
            break;
        case LT_PB_STRINGS:
            list.at = lt_arena_zero(d->arena, list.count, sizeof(lathe_bytes), _Alignof(lathe_bytes));
            break;
        case LT_PB_MSGS:
            list.at = lt_arena_zero(d->arena, list.count, field->sub->size, field->sub->align);
            break;
        default:
            continue;
        }
        if (list.at == NULL && !in_file) {
            return LT_OOM(d->diag);
        }
        memcpy(element_at(out, field), &list, sizeof list);
    }
    if (t->unknown > 0) {
        head->unknown = LT_ARENA_ARRAY(d->arena, lt_pb_unknown, t->unknown);
        head->n_unknown = t->unknown;
    }
    return t->unknown > 0 && head->unknown == NULL ? LT_OOM(d->diag) : LATHE_OK;
}

static lathe_status decode(decoder *d, const lt_pb_message *message, const unsigned char *data, size_t size, void *out);

static lathe_status decode_child(decoder *d, const lt_pb_field *field, const lt_wire_field *wire, size_t index,
                                 void *out)
{
    if (d->depth >= LT_MAX_DEPTH) {
        return LT_FAIL(d->diag, LATHE_BAD_MODEL, d->where, "subgraphs and types may nest as deep as docs/onnx.md says",
                       "messages are nested deeper than %d, at byte %zu", LT_MAX_DEPTH, (size_t)(wire->data - d->base));
    }
    d->path[d->depth++] = (step){ field->name, index, field->kind == LT_PB_MSGS };
    LT_TRY(decode(d, field->sub, wire->data, wire->size, out));
    d->depth--;
    return LATHE_OK;
}

static void fill_ints(const lt_pb_field *field, const lt_wire_field *wire, size_t *fill, void *out)
{
    lt_pb_list list;
    memcpy(&list, element_at(out, field), sizeof list);
    int64_t *ints = list.at;
    if (wire->type == LT_WIRE_VARINT) {
        memcpy(&ints[(*fill)++], &wire->varint, sizeof wire->varint);
        return;
    }
    lt_wire run = { wire->data, wire->data + wire->size };
    uint64_t value;
    while (run.at != run.end && lt_wire_varint(&run, &value) == NULL) {
        memcpy(&ints[(*fill)++], &value, sizeof value);
    }
}

/* runs == 1 and packed: the span itself. Otherwise appended to the arena's array. */
static void fill_fixed(const lt_pb_field *field, const lt_wire_field *wire, size_t runs, size_t *fill, void *out)
{
    lt_pb_fixed fixed;
    size_t width = field->kind == LT_PB_FLOATS ? 4 : 8;
    memcpy(&fixed, element_at(out, field), sizeof fixed);
    if (runs == 1) {
        fixed.at = wire->data;
        memcpy(element_at(out, field), &fixed, sizeof fixed);
    } else if (wire->size > 0) {
        lt_pb_list list;
        memcpy(&list, element_at(out, field), sizeof list);
        memcpy((char *)list.at + *fill * width, wire->data, wire->size);
        *fill += wire->size / width;
    }
}

static lathe_status fill_field(decoder *d, const lt_pb_field *field, const lt_wire_field *wire, size_t runs,
                               size_t *fill, void *out)
{
    void *at = element_at(out, field);
    lathe_bytes span = { (const char *)wire->data, wire->size };
    lt_pb_list list;
    switch (field->kind) {
    case LT_PB_INT:
        memcpy(at, &wire->varint, sizeof(int64_t));
        return LATHE_OK;
    case LT_PB_F32: {
        uint32_t bits = (uint32_t)wire->varint;
        memcpy(at, &bits, sizeof bits);
        return LATHE_OK;
    }
    case LT_PB_BYTES:
        memcpy(at, &span, sizeof span);
        return LATHE_OK;
    case LT_PB_INTS:
        fill_ints(field, wire, fill, out);
        return LATHE_OK;
    case LT_PB_FLOATS:
    case LT_PB_DOUBLES:
        fill_fixed(field, wire, runs, fill, out);
        return LATHE_OK;
    case LT_PB_STRINGS:
        memcpy(&list, at, sizeof list);
        ((lathe_bytes *)list.at)[(*fill)++] = span;
        return LATHE_OK;
    case LT_PB_MSGS: {
        memcpy(&list, at, sizeof list);
        size_t index = (*fill)++;
        return decode_child(d, field, wire, index, (char *)list.at + index * field->sub->size);
    }
    default: { /* LT_PB_MSG */
        void *child = lt_arena_zero(d->arena, 1, field->sub->size, field->sub->align);
        if (child == NULL) {
            return LT_OOM(d->diag);
        }
        memcpy(at, &child, sizeof child);
        return decode_child(d, field, wire, 0, child);
    }
    }
}

static lathe_status decode(decoder *d, const lt_pb_message *message, const unsigned char *data, size_t size, void *out)
{
    tally t = { .unknown = 0 };
    size_t fill[MAX_FIELDS] = { 0 }, unknown = 0;
    lt_wire wire = { data, data + size };
    memset(out, 0, message->size);
    LT_TRY(count_fields(d, message, wire, &t));
    LT_TRY(allocate(d, message, &t, out));
    for (;;) {
        lt_wire_field field;
        bool more;
        size_t index = 0;
        const unsigned char *start = wire.at;
        const char *problem = lt_wire_read(&wire, &field, &more);
        if (problem != NULL) {
            return fail(d, start, problem);
        }
        if (!more) {
            return LATHE_OK;
        }
        const lt_pb_field *known = find_field(message, field.number, &index);
        if (known != NULL) {
            LT_TRY(fill_field(d, known, &field, t.runs[index], &fill[index], out));
        } else {
            lt_pb_unknown *spans = (lt_pb_unknown *)(uintptr_t)((lt_pb_head *)out)->unknown;
            spans[unknown++] = (lt_pb_unknown){ field.number, start, (size_t)(wire.at - start) };
        }
    }
}

lathe_status lt_pb_decode(const lt_pb_message *message, const void *data, size_t size, lt_arena *arena, void *out,
                          const char *where, lathe_diag *diag)
{
    static const unsigned char nothing[1] = { 0 };
    decoder d = { .arena = arena, .base = size > 0 ? data : nothing, .where = where, .diag = diag };
    return decode(&d, message, d.base, size, out);
}

bool lt_pb_is(lathe_bytes span, const char *text)
{
    size_t length = strlen(text);
    return span.length == length && (length == 0 || memcmp(span.data, text, length) == 0);
}

bool lt_pb_same(lathe_bytes a, lathe_bytes b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

const char *lt_pb_str(lt_arena *arena, lathe_bytes span, bool *bad)
{
    *bad = false;
    if (span.length == 0) {
        return "";
    }
    *bad = memchr(span.data, '\0', span.length) != NULL;
    return *bad ? NULL : lt_arena_strn(arena, span.data, span.length);
}
