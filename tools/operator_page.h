/*
 * operator_page.h - what `lathe ops` and the page of operators say in the same words.
 */
#ifndef OPERATOR_PAGE_H
#define OPERATOR_PAGE_H

#include "study/study.h"
#include "tool.h"

void put_opsets(lt_buf *out, const lt_op *op);     /* "1 6 7 13 14" */
void put_types(lt_buf *out, uint64_t types);       /* "f32 f16", by bits */
void put_families(lt_buf *out, const lt_op *op, const lt_study_operator *found); /* "conv.f32.nhwc, product": without instruction sets */
int print_operator_page(tool *t);

#endif
