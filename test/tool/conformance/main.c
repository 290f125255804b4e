/* main.c - the runner's command line.
 *
 *   conformance [--suite query|rest|sql] [--file F] [--case ID] [--json] [-v] DIR
 *
 * DIR holds query/, rest/ and sql/ with .jsonl files. Prints passed and failed a file and a closing total; -v says why
 * each failed case failed. Exit status: 0 when every case that ran passed, 1 when one failed, 2 used wrongly.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "conformance.h"

struct run_options {
    const char *suite, *file, *case_id, *dir;
    bool json, verbose;
};

struct tally {
    struct str name;
    uint32_t passed, failed;
};

struct run {
    struct run_options options;
    struct arena arena;
    vec(struct tally) suites;
    vec(struct tally) files;
    vec(struct str) failed;
};

static const struct {
    const char *name;
    bool (*run)(const struct test_case *test, struct err *err);
} suites[] = {{"query", run_query_case}, {"rest", run_rest_case}, {"sql", run_script_case}};

static bool read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    char chunk[65536];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) != 0;)
        buf_append(out, chunk, got);
    fclose(file);
    return true;
}

static void run_line(struct run *run, size_t suite, struct str line, struct tally *tally)
{
    struct arena arena = {0};
    struct err err = {0};
    const struct json_value *root = json_parse(line, &arena, &err);
    if (root == NULL) {
        fprintf(stderr, "conformance: %.*s: %s\n", STR_ARG(tally->name), err.text);
        tally->failed++;
        arena_fini(&arena);
        return;
    }
    struct test_case test = {root, case_text(root, "id"), case_text(root, "suite"), case_text(root, "file"),
                             case_text(root, "name")};
    if (run->options.case_id == NULL || str_eq_cstr(test.id, run->options.case_id)) {
        if (suites[suite].run(&test, &err)) {
            tally->passed++;
        } else {
            tally->failed++;
            vec_push(&run->failed, str_dup(test.id, &run->arena));
            if (run->options.verbose)
                printf("  %.*s %.*s\n      %s\n", STR_ARG(test.id), STR_ARG(test.name), err.text);
        }
        fflush(stdout);
    }
    arena_fini(&arena);
}

static void run_file(struct run *run, size_t suite, const char *path, struct str name)
{
    struct buf text = {0};
    struct tally tally = {.name = name};
    if (!read_file(path, &text)) {
        fprintf(stderr, "conformance: cannot read %s: %s\n", path, strerror(errno));
        tally.failed++;
    }
    struct str rest = buf_str(&text), line;
    while (str_split(&rest, '\n', &line))
        if (str_trim(line).len != 0)
            run_line(run, suite, line, &tally);
    buf_fini(&text);
    run->suites.at[suite].passed += tally.passed;
    run->suites.at[suite].failed += tally.failed;
    if (tally.passed + tally.failed == 0)
        return;
    vec_push(&run->files, tally);
    if (!run->options.json)
        printf("%-60.*s %5u passed %5u failed\n", STR_ARG(name), tally.passed, tally.failed);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool run_suite(struct run *run, size_t suite)
{
    struct str dir = str_printf(&run->arena, "%s/%s", run->options.dir, suites[suite].name);
    struct dirent **entries;
    int count = scandir(dir.ptr, &entries, NULL, by_name);
    if (count < 0) {
        fprintf(stderr, "conformance: cannot read %s: %s\n", dir.ptr, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        struct str entry = str_from(entries[i]->d_name);
        if (str_ends_with(entry, STR(".jsonl"))) {
            struct str stem = str_sub(entry, 0, entry.len - 6);
            struct str path = str_printf(&run->arena, "%s/%.*s", dir.ptr, STR_ARG(entry));
            if (run->options.file == NULL || str_eq_cstr(stem, run->options.file))
                run_file(run, suite, path.ptr,
                         str_printf(&run->arena, "%s/%.*s", suites[suite].name, STR_ARG(stem)));
        }
        free(entries[i]);
    }
    free(entries);
    return true;
}

static void put_tally(struct json_writer *out, const struct tally *tally)
{
    json_object_begin(out);
    json_key_i64(out, "passed", tally->passed);
    json_key_i64(out, "failed", tally->failed);
    json_object_end(out);
}

static void print_json(const struct run *run, const struct tally *total)
{
    struct buf text = {0};
    struct json_writer out = {.out = &text};
    json_object_begin(&out);
    json_key_begin(&out, "total");
    put_tally(&out, total);
    json_key_begin(&out, "suites");
    json_object_begin(&out);
    for (size_t i = 0; i < run->suites.len; i++) {
        json_key(&out, run->suites.at[i].name);
        put_tally(&out, &run->suites.at[i]);
    }
    json_object_end(&out);
    json_key_begin(&out, "files");
    json_object_begin(&out);
    for (size_t i = 0; i < run->files.len; i++) {
        json_key(&out, run->files.at[i].name);
        put_tally(&out, &run->files.at[i]);
    }
    json_object_end(&out);
    json_key_begin(&out, "failed");
    json_array_begin(&out);
    for (size_t i = 0; i < run->failed.len; i++)
        json_str(&out, run->failed.at[i]);
    json_array_end(&out);
    json_object_end(&out);
    printf("%s\n", text.ptr);
    buf_fini(&text);
}

static bool read_options(struct run_options *options, int argc, char **argv)
{
    static const struct option longs[] = {{"suite", required_argument, NULL, 's'},
                                          {"file", required_argument, NULL, 'f'},
                                          {"case", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "v", longs, NULL)) != -1;) {
        switch (option) {
        case 's':
            options->suite = optarg;
            break;
        case 'f':
            options->file = optarg;
            break;
        case 'c':
            options->case_id = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'v':
            options->verbose = true;
            break;
        default:
            return false;
        }
    }
    options->dir = argv[optind];
    return argc - optind == 1;
}

int main(int argc, char **argv)
{
    struct run run = {0};
    struct tally total = {0};
    bool readable = true;
    if (!read_options(&run.options, argc, argv)) {
        fprintf(stderr,
                "Usage: conformance [--suite query|rest|sql] [--file F] [--case ID] [--json] [-v] DIR\n");
        return 2;
    }
    log_level_set(LOG_OFF);
    func_enable_test_functions();
    for (size_t i = 0; i < COUNT_OF(suites); i++) {
        vec_push(&run.suites, (struct tally){.name = str_from(suites[i].name)});
        if (run.options.suite == NULL || strcmp(run.options.suite, suites[i].name) == 0)
            readable = run_suite(&run, i) && readable;
        total.passed += run.suites.at[i].passed;
        total.failed += run.suites.at[i].failed;
    }
    if (run.options.json)
        print_json(&run, &total);
    else
        printf("%-60s %5u passed %5u failed\n", "total", total.passed, total.failed);
    vec_fini(&run.suites);
    vec_fini(&run.files);
    vec_fini(&run.failed);
    arena_fini(&run.arena);
    return readable && total.failed == 0 && total.passed != 0 ? 0 : 1;
}
