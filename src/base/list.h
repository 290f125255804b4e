/* list.h - doubly linked list whose links are embedded in the elements; the head is a link too.
 *
 *     struct list tasks; list_init(&tasks);
 *     list_push_back(&tasks, &task->link);
 *     list_each (struct flow_task, task, &tasks, link) { ... }      the element may not be removed inside
 *     list_each_safe (struct flow_task, task, &tasks, link) { ... } the element may be removed inside
 */
#ifndef RIALTO_BASE_LIST_H
#define RIALTO_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define LIST_ENTRY(link, T, member) ((T *)((char *)(link)-offsetof(T, member)))

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct list *place, struct list *link)
{
    link->prev = place->prev;
    link->next = place;
    place->prev->next = link;
    place->prev = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
    list_insert_before(head, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_insert_before(head->next, link);
}

/* Removes the link and leaves it as an empty list, so that removing it again is harmless. */
static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Moves all links of `from` behind those of `to`, in order. */
static inline void list_take(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_each(T, var, head, member)                                        \
    for (T *var = LIST_ENTRY((head)->next, T, member); &var->member != (head); \
         var = LIST_ENTRY(var->member.next, T, member))

#define list_each_safe(T, var, head, member)                       \
    for (T *var = LIST_ENTRY((head)->next, T, member),             \
           *var##_next_ = LIST_ENTRY(var->member.next, T, member); \
         &var->member != (head);                                   \
         var = var##_next_, var##_next_ = LIST_ENTRY(var##_next_->member.next, T, member))

#endif
