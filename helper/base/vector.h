/* A typed, growing array by macro, as in nbdkit's vector.h.
 *
 *   DEFINE_VECTOR(disk_list, struct disk);
 *   struct disk_list disks = {0};
 *   struct disk *disk = disk_list_add(&disks);      // zeroed; valid until the next add
 *   for (size_t i = 0; i < disks.count; i++) use(&disks.items[i]);
 *   free(disks.items);
 */
#ifndef VP_BASE_VECTOR_H
#define VP_BASE_VECTOR_H

#include "base/text.h"

#define DEFINE_VECTOR(name, type)                                                                  \
    struct name {                                                                                  \
        type *items;                                                                               \
        size_t count, room;                                                                        \
    };                                                                                             \
    static inline UNUSED type *name##_add(struct name *list)                                       \
    {                                                                                              \
        if (list->count == list->room) {                                                           \
            list->room = list->room ? list->room * 2 : 8;                                          \
            list->items = memory_resize(list->items, list->room, sizeof(type));                    \
        }                                                                                          \
        type *item = &list->items[list->count++];                                                  \
        memset(item, 0, sizeof(*item));                                                            \
        return item;                                                                               \
    }                                                                                              \
    struct vp_swallow_semicolon

DEFINE_VECTOR(text_list, char *);

static inline UNUSED void text_list_append(struct text_list *list, const char *text)
{
    *text_list_add(list) = text_dup(text);
}
static inline UNUSED void text_list_clear(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

#endif
