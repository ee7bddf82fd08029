/*
 * twin_internal.h - what the files of the test device share: its memory and its queues. Private to src/backend/twin.
 */
#ifndef LT_TWIN_INTERNAL_H
#define LT_TWIN_INTERNAL_H

#include "backend/backend_internal.h"

/* ---- Memory (twin_memory.c) ---- */

/* One live allocation. Addresses ascend and are never given out twice. */
typedef struct lt_twin_block {
    lt_devptr address;
    size_t bytes;
    unsigned char *host;
} lt_twin_block;

typedef struct lt_twin_memory {
    const lathe_allocator *allocator;
    lt_twin_block *blocks; /* by address */
    size_t count, capacity;
    lt_devptr next;
} lt_twin_memory;

void lt_twin_memory_init(lt_twin_memory *memory, const lathe_allocator *allocator);
void lt_twin_memory_free(lt_twin_memory *memory);
lathe_status lt_twin_alloc(lt_twin_memory *memory, size_t bytes, lt_devptr *out, lathe_diag *diag);
void lt_twin_release(lt_twin_memory *memory, lt_devptr address);
/* Host memory behind a device range. what: who touches it, for the message. bytes 0 gives NULL. */
lathe_status lt_twin_translate(const lt_twin_memory *memory, lt_devptr address, size_t bytes, const char *what,
                               void **out, lathe_diag *diag);
void lt_twin_poison(void *data, size_t bytes);

/* ---- Work (twin_backend.c queues, twin_step.c runs steps) ---- */

typedef enum lt_twin_kind {
    LT_TWIN_COPY_IN,
    LT_TWIN_COPY_OUT,
    LT_TWIN_COPY,
    LT_TWIN_STEP,
    LT_TWIN_RECORD,
    LT_TWIN_WAIT
} lt_twin_kind;

/* A call with everything that it points to, except the problem: one block of memory. */
typedef struct lt_twin_step {
    const lathe_tactic *tactic;
    lathe_call call;
    lathe_buffer *in, *out;
    unsigned char *host_bytes; /* contents of operands that are read on the host */
    size_t bytes;              /* of this block */
} lt_twin_step;

typedef struct lt_twin_work {
    lt_twin_kind kind;
    lt_devptr dst, src;
    void *host; /* of copies in and out */
    size_t bytes;
    uint32_t event;
    uint64_t version; /* of the event */
    lt_twin_step *step;
} lt_twin_work;

/* Copies a call. Operands that are read on the host are read now. */
lathe_status lt_twin_step_make(const lathe_allocator *allocator, const lathe_tactic *tactic, const lathe_call *call,
                               lt_twin_step **out, lathe_diag *diag);
void lt_twin_step_free(const lathe_allocator *allocator, lt_twin_step *step);
lathe_status lt_twin_step_run(const lt_twin_memory *memory, lt_twin_step *step, lathe_diag *diag);

#endif
