#include "base/base.h"
#include <lathe/cache.h>
#include <string.h>
struct lathe_timing_cache { lathe_timing_entry *e; size_t n, cap; };
lathe_status lathe_timing_machine(int threads, uint64_t f, char *text, size_t room, lathe_diag *d){(void)f;(void)d;snprintf(text,room,"m %d",threads);return LATHE_OK;}
lathe_status lathe_timing_cache_create(const lathe_allocator *a, lathe_timing_cache **out, lathe_diag *d){(void)d;*out=LT_NEW(a,lathe_timing_cache);return LATHE_OK;}
void lathe_timing_cache_destroy(lathe_timing_cache *c){(void)c;}
lathe_status lathe_timing_cache_load(lathe_timing_cache *c,const char*p,int r,lathe_diag*d){(void)c;(void)p;(void)r;(void)d;return LATHE_IO;}
lathe_status lathe_timing_cache_save(lathe_timing_cache *c,const char*p,lathe_diag*d){(void)c;(void)d;(void)p;return LATHE_OK;}
static int same(const lathe_timing_entry*a,const lathe_timing_entry*b){return !strcmp(a->problem,b->problem)&&!strcmp(a->tactic,b->tactic)&&a->version==b->version&&a->config==b->config&&!strcmp(a->setting,b->setting);}
int lathe_timing_cache_find(const lathe_timing_cache *c,const lathe_timing_entry*k,lathe_timing_entry*o){for(size_t i=0;i<c->n;i++)if(same(&c->e[i],k)){*o=c->e[i];return 1;}return 0;}
lathe_status lathe_timing_cache_put(lathe_timing_cache *c,const lathe_timing_entry*k,lathe_diag*d){(void)d;lt_grow(NULL,(void**)&c->e,&c->cap,c->n+1,sizeof*k);lathe_timing_entry x=*k;x.problem=__builtin_strdup(k->problem);x.tactic=__builtin_strdup(k->tactic);c->e[c->n++]=x;return LATHE_OK;}
size_t lathe_timing_cache_count(const lathe_timing_cache *c){return c->n;}
