/* assign_sticky.c - the assignor of streams groups: active tasks evenly over members, standby tasks of those with state over
 * other processes; who had a task keeps it as far as balance allows.
 *
 *   active    1 to who had it             by partition: tasks of all subtopologies for low partitions first
 *             2 to who had it as standby  the least loaded one
 *             3 the rest                  by subtopology, to the least loaded process, there to the least loaded member
 *   standby   4 to who had it active, then to who had it as standby
 *             5 the rest                  as 3, never to a process that has the task already
 *
 * 1, 2 and 4 keep to a quota: the members' even share of active tasks, and of all tasks. When a member is full, the shares of the
 * others are computed anew from what is left, so that the odd ones are spread. Load is tasks per member of a process.
 *
 * (K1) Every task has exactly one active member; up to standby_count standbys, each on a process of its own.
 * (K2) The outcome depends on the members' ids, processes and old targets only.
 */
#include "group/assign_int.h"
#include "group/streams_int.h"

enum { NOBODY = UINT32_MAX };

struct sticky_task {
    uint32_t subtopology;
    int32_t partition;
    bool stateful, placed;
    uint32_t had;                      /* the member that had it active */
    uint32_t holder_count;             /* who has it now: the active one, then standbys */
    uint32_t *holders;                 /* members */
    uint32_t standby_count, *standbys; /* members that had it as standby */
};

/* What is left to be spread over those members that are not full. */
struct quota {
    int64_t tasks, members, each;
};

struct sticky {
    struct assign_member *members;
    size_t count;
    uint32_t *process_of; /* member -> process */
    int64_t *loads;       /* member -> tasks */
    size_t process_count;
    int64_t *process_tasks, *process_members;
    struct sticky_task *tasks;
    size_t task_count, *first_task; /* subtopology -> its first task */
    const int32_t *task_counts;
    struct quota active, all;
    size_t standby_count;
    struct arena *arena;
};

/* --- load and quota --- */

static int64_t share(int64_t tasks, int64_t members)
{
    return members <= 0 ? 0 : (tasks + members - 1) / members;
}

static void quota_note(struct quota *quota, int64_t load)
{
    if (load != quota->each)
        return;
    quota->members--;
    quota->tasks -= load;
    quota->each = share(quota->tasks, quota->members);
}

/* Is the load of process a less than that of b? Tasks per member, without division. */
static bool less_loaded(const struct sticky *s, uint32_t a, uint32_t b)
{
    return s->process_tasks[a] * s->process_members[b] < s->process_tasks[b] * s->process_members[a];
}

static bool process_has(const struct sticky *s, uint32_t process, const struct sticky_task *task)
{
    for (uint32_t i = 0; i < task->holder_count; i++)
        if (s->process_of[task->holders[i]] == process)
            return true;
    return false;
}

static void give(struct sticky *s, struct sticky_task *task, uint32_t to, bool active)
{
    assign_give(&s->members[to], task_id(active ? ROLE_ACTIVE : ROLE_STANDBY, task->subtopology),
                task->partition, s->arena);
    task->holders[task->holder_count++] = to;
    s->loads[to]++;
    s->process_tasks[s->process_of[to]]++;
    if (active)
        quota_note(&s->active, s->loads[to]);
    quota_note(&s->all, s->loads[to]);
}

/* The least loaded process that does not have the task, and there the least loaded member; NOBODY: all have it. */
static uint32_t least_loaded(const struct sticky *s, const struct sticky_task *task)
{
    uint32_t best = NOBODY, member = NOBODY;
    for (uint32_t i = 0; i < s->process_count; i++)
        if (!process_has(s, i, task) && (best == NOBODY || less_loaded(s, i, best)))
            best = i;
    for (uint32_t i = 0; best != NOBODY && i < s->count; i++)
        if (s->process_of[i] == best && (member == NOBODY || s->loads[i] < s->loads[member]))
            member = i;
    return member;
}

/* Of those that had it as standby, on processes that do not have it: the least loaded one; NOBODY: none. */
static uint32_t least_loaded_standby(const struct sticky *s, const struct sticky_task *task)
{
    uint32_t best = NOBODY;
    for (uint32_t i = 0; i < task->standby_count; i++) {
        uint32_t one = task->standbys[i];
        if (process_has(s, s->process_of[one], task))
            continue;
        if (best == NOBODY || less_loaded(s, s->process_of[one], s->process_of[best]) ||
            (s->process_of[one] == s->process_of[best] && s->loads[one] < s->loads[best]))
            best = one;
    }
    return best;
}

/* --- orders: the tasks stay where they are, by subtopology; this walks them by partition --- */

static int by_partition(const void *a, const void *b)
{
    const struct sticky_task *x = *(struct sticky_task *const *)a, *y = *(struct sticky_task *const *)b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->subtopology > y->subtopology) - (x->subtopology < y->subtopology);
}

static struct sticky_task **tasks_by_partition(struct sticky *s)
{
    struct sticky_task **order = arena_array(s->arena, struct sticky_task *, s->task_count);
    for (size_t i = 0; i < s->task_count; i++)
        order[i] = &s->tasks[i];
    if (s->task_count > 1)
        qsort(order, s->task_count, sizeof order[0], by_partition);
    return order;
}

/* --- active --- */

/* A task whose former holder (or standby) has room goes there. */
static void keep_active(struct sticky *s, struct sticky_task *task, uint32_t to)
{
    if (task->placed || to == NOBODY || s->loads[to] >= s->active.each)
        return;
    give(s, task, to, true);
    task->placed = true;
}

static void assign_active(struct sticky *s, struct sticky_task **order)
{
    for (size_t i = 0; i < s->task_count; i++)
        keep_active(s, order[i], order[i]->had);
    for (size_t i = 0; i < s->task_count; i++)
        keep_active(s, order[i], least_loaded_standby(s, order[i]));
    for (size_t i = 0; i < s->task_count; i++)
        if (!s->tasks[i].placed)
            give(s, &s->tasks[i], least_loaded(s, &s->tasks[i]), true);
}

/* --- standby --- */

/* Who had it, active or as standby, and has room; NOBODY. */
static uint32_t former_holder(const struct sticky *s, const struct sticky_task *task)
{
    uint32_t to = task->had;
    if (to != NOBODY && !process_has(s, s->process_of[to], task) && s->loads[to] < s->all.each)
        return to;
    to = least_loaded_standby(s, task);
    return to != NOBODY && s->loads[to] < s->all.each ? to : NOBODY;
}

static void assign_standby(struct sticky *s, struct sticky_task **order)
{
    for (size_t i = s->task_count; i-- > 0;) {
        struct sticky_task *task = order[i];
        uint32_t to;
        while (task->stateful && task->holder_count <= s->standby_count &&
               (to = former_holder(s, task)) != NOBODY)
            give(s, task, to, false);
    }
    for (size_t i = s->task_count; i-- > 0;) {
        struct sticky_task *task = &s->tasks[i];
        uint32_t to;
        while (task->stateful && task->holder_count <= s->standby_count &&
               (to = least_loaded(s, task)) != NOBODY)
            give(s, task, to, false);
    }
}

/* --- from members to tasks --- */

static void number_processes(struct sticky *s)
{
    struct map numbers = {0}; /* process id -> number + 1 */
    s->process_of = arena_array(s->arena, uint32_t, s->count);
    s->loads = arena_array(s->arena, int64_t, s->count);
    s->process_tasks = arena_array(s->arena, int64_t, s->count);
    s->process_members = arena_array(s->arena, int64_t, s->count);
    for (size_t i = 0; i < s->count; i++) {
        size_t number = (size_t)(uintptr_t)map_get(&numbers, s->members[i].process_id);
        if (number == 0) {
            number = ++s->process_count;
            map_put(&numbers, s->members[i].process_id, (void *)(uintptr_t)number);
        }
        s->process_of[i] = (uint32_t)number - 1;
        s->process_members[number - 1]++;
    }
    map_fini(&numbers);
}

static void make_tasks(struct sticky *s, const streams_topology *topology)
{
    size_t subtopologies = (size_t)topology->Subtopologies.len;
    s->first_task = arena_array(s->arena, size_t, subtopologies);
    for (size_t i = 0; i < subtopologies; i++) {
        s->first_task[i] = s->task_count;
        s->task_count += (size_t)s->task_counts[i];
    }
    s->tasks = arena_array(s->arena, struct sticky_task, s->task_count);
    s->active = s->all = (struct quota){.tasks = (int64_t)s->task_count, .members = (int64_t)s->count};
    for (size_t i = 0; i < subtopologies; i++) {
        bool stateful = streams_is_stateful(&topology->Subtopologies.at[i]);
        for (int32_t j = 0; j < s->task_counts[i]; j++)
            s->tasks[s->first_task[i] + (size_t)j] = (struct sticky_task){
                .subtopology = (uint32_t)i,
                .partition = j,
                .stateful = stateful,
                .had = NOBODY,
                .holders = arena_array(s->arena, uint32_t, stateful ? s->standby_count + 1 : 1),
            };
        if (stateful)
            s->all.tasks += s->task_counts[i] * (int64_t)s->standby_count;
    }
    s->active.each = share(s->active.tasks, s->active.members);
    s->all.each = share(s->all.tasks, s->all.members);
}

/* The task of an old target; NULL: it is not there any more. */
static struct sticky_task *task_of(const struct sticky *s, size_t subtopologies, const struct topic_part *old)
{
    uint32_t at = task_subtopology(old);
    if (at >= subtopologies || old->partition < 0 || old->partition >= s->task_counts[at])
        return NULL;
    return &s->tasks[s->first_task[at] + (size_t)old->partition];
}

/* Twice: count, then note. */
static void note_old_targets(struct sticky *s, size_t subtopologies)
{
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < s->count; i++) {
            const struct part_set *old = s->members[i].current;
            for (size_t j = 0; j < old->len; j++) {
                struct sticky_task *task = task_of(s, subtopologies, &old->at[j]);
                if (task == NULL || task_role_of(&old->at[j]) == ROLE_WARMUP)
                    continue;
                if (task_is_active(&old->at[j]))
                    task->had = i;
                else if (pass == 0)
                    task->standby_count++;
                else
                    task->standbys[task->standby_count++] = i;
            }
        }
        for (size_t i = 0; i < s->task_count && pass == 0; i++) {
            s->tasks[i].standbys = arena_array(s->arena, uint32_t, s->tasks[i].standby_count);
            s->tasks[i].standby_count = 0;
        }
    }
}

void assign_sticky(struct assign_member *members, size_t count, const streams_topology *topology,
                   const int32_t *task_counts, int32_t standby_count, struct arena *arena)
{
    struct sticky s = {.members = members, .count = count, .task_counts = task_counts, .arena = arena};
    if (count == 0)
        return;
    assign_sort(members, count);
    number_processes(&s);
    s.standby_count = MIN((size_t)MAX(standby_count, 0), s.process_count - 1);
    make_tasks(&s, topology);
    note_old_targets(&s, (size_t)topology->Subtopologies.len);
    struct sticky_task **order = tasks_by_partition(&s);
    assign_active(&s, order);
    assign_standby(&s, order);
    for (size_t i = 0; i < count; i++)
        part_set_sort(&members[i].target);
}
