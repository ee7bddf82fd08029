/*
 * study_internal.h - shared by the files of src/study: which nodes explain speaks of, and whether each is accounted for.
 */
#ifndef LT_STUDY_INTERNAL_H
#define LT_STUDY_INTERNAL_H

#include "study/study.h"

/* A plan with its log (may be NULL) and what was asked for (NULL: all). */
typedef struct lt_explained {
    const lt_plan *plan;
    uint32_t variant;
    const lt_study_log *log; /* of this variant; NULL: there is none */
    const char *node;
} lt_explained;

bool lt_explained_matches(const lt_explained *e, uint32_t origin);
bool lt_explained_refusal(const lt_explained *e, const lt_plan_refusal *refusal);
bool lt_plan_step_has(const lt_plan_step *step, uint32_t origin);
/* NULL when the node is a step that something computes, or was taken away by a pass that is named; else what is wrong. */
const char *lt_explained_unaccounted(const lt_explained *e, uint32_t origin);
void lt_explained_count(const lt_explained *e, uint32_t origin, lt_study_explained *sums);

#endif
