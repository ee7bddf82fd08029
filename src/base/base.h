/*
 * base.h - the ground floor: the one header that base shows to every other folder.
 *
 * It must know nothing of operators, graphs or plans. Each part lives in its own header; this page is the list.
 */
#ifndef LT_BASE_H
#define LT_BASE_H

#include <lathe/base.h>

#include "base/diag.h"   /* LT_FAIL, LT_CHECK, LT_ASSERT */
#include "base/alloc.h"  /* allocator helpers, arena, growing vectors */
#include "base/size.h"   /* checked arithmetic on sizes and int64 */
#include "base/text.h"   /* string builder, numbers to and from text, quoting */
#include "base/map.h"    /* hash maps */
#include "base/hash.h"   /* 64-bit hash, SHA-256, CRC-32C */
#include "base/dtype.h"  /* element types, conversions, loads and stores */
#include "base/dims.h"   /* symbolic dimensions */
#include "base/tensor.h" /* tensors and values as the reference sees them */
#include "base/json.h"   /* JSON writer and bounded reader */
#include "base/trace.h"  /* trace events */
#include "base/debug.h"  /* what to log */
#include "base/os.h"     /* files, clock, processors, environment */
#include "base/random.h" /* Philox: counter-based random numbers */

#endif
