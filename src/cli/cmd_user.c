/* cmd_user.c - rialto user: SCRAM users of a server. The password is hashed here and never sent (RFC 5802). */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

#include "auth/auth.h"
#include "cli/kafka_int.h"
#include "cli/table_int.h"

enum { DESCRIBE_USERS = 50, ALTER_USERS = 51 };

static const struct table_column user_columns[] = {{STR_INIT("NAME"), STR_INIT("name"), false},
                                                   {STR_INIT("MECHANISM"), STR_INIT("mechanism"), false},
                                                   {STR_INIT("ITERATIONS"), STR_INIT("iterations"), true}};

static int print_users(struct cli *cli, struct kafka *kafka)
{
    struct DescribeUserScramCredentialsRequest req = {.Users = {NULL, -1}};
    struct DescribeUserScramCredentialsResponse res;
    struct err err = {0};
    struct str pattern = cli->names.len > 0 ? cli->names.at[0] : STR_NULL;
    if (!kafka_call(kafka, KAFKA_ANY, DESCRIBE_USERS, &req, &res, 0, &cli->arena, &err) ||
        !kafka_check(res.ErrorCode, res.ErrorMessage, &err, "listing users"))
        return cli_fail(cli, &err, NULL);
    struct table table;
    table_init(&table, cli, user_columns, COUNT_OF(user_columns));
    for (int32_t i = 0; i < res.Results.len; i++)
        for (int32_t j = 0; j < res.Results.at[i].CredentialInfos.len; j++) {
            const struct DescribeUserScramCredentialsResponse_CredentialInfo *info =
                &res.Results.at[i].CredentialInfos.at[j];
            struct str cells[] = {res.Results.at[i].User,
                                  str_from(auth_mechanism_name((enum auth_mechanism)info->Mechanism)),
                                  table_number(&table, info->Iterations)};
            if (cli_glob(pattern, cells[0]))
                table_row(&table, cells);
        }
    table_print(&table);
    table_fini(&table);
    return CLI_OK;
}

int cli_user_list(struct cli *cli)
{
    struct kafka kafka;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    int status = print_users(cli, &kafka);
    kafka_fini(&kafka);
    return status;
}

/* The option --mechanism; AUTH_NONE when absent. */
static bool read_mechanism(const struct cli *cli, enum auth_mechanism *mechanism, struct err *err)
{
    struct str word = cli_value(cli, "mechanism");
    *mechanism = str_is_null(word) ? AUTH_NONE : auth_mechanism_find(word);
    return str_is_null(word) || *mechanism == AUTH_SCRAM_SHA_256 || *mechanism == AUTH_SCRAM_SHA_512 ||
           err_set(err, ERR_USAGE, "--mechanism is SCRAM-SHA-256 or SCRAM-SHA-512, not '%.*s'",
                   STR_ARG(word));
}

/* A line that a terminal does not show. */
static bool ask_password(struct str name, struct buf *out, struct err *err)
{
    struct termios shown, hidden;
    char line[1024];
    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return err_set_errno(err, errno, "the terminal");
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "password of %.*s: ", STR_ARG(name));
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    bool read = fgets(line, sizeof line, stdin) != NULL;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fputc('\n', stderr);
    if (read)
        buf_append_cstr(out, line);
    return read || err_set(err, ERR_USAGE, "no password was given");
}

static bool read_password(const struct cli *cli, struct buf *out, struct err *err)
{
    struct str file = cli_value(cli, "password-file");
    bool good = str_is_null(file) && isatty(STDIN_FILENO)
                    ? ask_password(cli->names.at[0], out, err)
                    : cli_read_file(str_is_null(file) ? STR("-") : file, out, err);
    if (!good)
        return false;
    ptrdiff_t end = str_find_char(buf_str(out), '\n');
    if (end >= 0)
        out->len = (size_t)end;
    return out->len > 0 || err_set(err, ERR_USAGE, "the password is empty");
}

static bool alter(struct cli *cli, const struct AlterUserScramCredentialsRequest *req, struct str name,
                  const char *what, struct err *err)
{
    struct AlterUserScramCredentialsResponse res;
    struct kafka kafka;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool good = kafka_call(&kafka, KAFKA_ANY, ALTER_USERS, req, &res, 0, &cli->arena, err);
    for (int32_t i = 0; good && i < res.Results.len; i++)
        good = kafka_check(res.Results.at[i].ErrorCode, res.Results.at[i].ErrorMessage, err, "%s user '%.*s'",
                           what, STR_ARG(name));
    kafka_fini(&kafka);
    return good;
}

static bool create_user(struct cli *cli, enum auth_mechanism mechanism, int64_t iterations, struct err *err)
{
    uint8_t salt[AUTH_SALT_BYTES], salted[AUTH_HASH_BYTES_MAX];
    struct str name = cli->names.at[0];
    struct buf password = {0};
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        return err_set_errno(err, errno, "random numbers");
    if (!read_password(cli, &password, err)) {
        buf_fini(&password);
        return false;
    }
    struct AlterUserScramCredentialsRequest_ScramCredentialUpsertion one = {.Name = name,
                                                                            .Mechanism = (int8_t)mechanism,
                                                                            .Iterations = (int32_t)iterations,
                                                                            .Salt = str_of((const char *)salt,
                                                                                           sizeof salt)};
    one.SaltedPassword = str_of((const char *)salted, auth_salt_password(mechanism, buf_str(&password),
                                                                         one.Salt, one.Iterations, salted));
    buf_fini(&password);
    struct AlterUserScramCredentialsRequest req = {.Upsertions = {&one, 1}};
    return alter(cli, &req, name, "making", err);
}

int cli_user_create(struct cli *cli)
{
    enum auth_mechanism mechanism;
    int64_t iterations;
    struct err err = {0};
    if (!read_mechanism(cli, &mechanism, &err) ||
        !cli_integer(cli, "iterations", AUTH_ITERATIONS_MIN, AUTH_ITERATIONS_MAX, AUTH_ITERATIONS_MIN,
                     &iterations, &err))
        return cli_fail(cli, &err, NULL);
    if (mechanism == AUTH_NONE)
        mechanism = AUTH_SCRAM_SHA_256;
    if (!create_user(cli, mechanism, iterations, &err))
        return cli_fail(cli, &err, NULL);
    cli_note(cli, "user %.*s may log in by %s", STR_ARG(cli->names.at[0]), auth_mechanism_name(mechanism));
    return CLI_OK;
}

/* The mechanisms of the user that are to go; 0: there is no such user. */
static bool list_deletions(struct cli *cli, struct str name, enum auth_mechanism only,
                           struct AlterUserScramCredentialsRequest_ScramCredentialDeletion *out,
                           int32_t *count, struct err *err)
{
    struct DescribeUserScramCredentialsRequest_UserName user = {name};
    struct DescribeUserScramCredentialsRequest req = {.Users = {&user, 1}};
    struct DescribeUserScramCredentialsResponse res;
    struct kafka kafka;
    *count = 0;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool good = kafka_call(&kafka, KAFKA_ANY, DESCRIBE_USERS, &req, &res, 0, &cli->arena, err) &&
                kafka_check(res.ErrorCode, res.ErrorMessage, err, "looking for user '%.*s'", STR_ARG(name));
    for (int32_t i = 0; good && i < res.Results.len; i++)
        for (int32_t j = 0; j < res.Results.at[i].CredentialInfos.len; j++) {
            int8_t mechanism = res.Results.at[i].CredentialInfos.at[j].Mechanism;
            if (*count < 2 && (only == AUTH_NONE || mechanism == (int8_t)only))
                out[(*count)++] =
                    (struct AlterUserScramCredentialsRequest_ScramCredentialDeletion){name, mechanism};
        }
    kafka_fini(&kafka);
    return good;
}

static int delete_user(struct cli *cli, struct str name, enum auth_mechanism only)
{
    struct AlterUserScramCredentialsRequest_ScramCredentialDeletion gone[2];
    struct AlterUserScramCredentialsRequest req = {0};
    struct err err = {0};
    bool good = list_deletions(cli, name, only, gone, &req.Deletions.len, &err);
    if (good && req.Deletions.len == 0) {
        if (cli_flag(cli, "if-exists"))
            return CLI_OK;
        good = err_set(&err, ERR_NOT_FOUND, "there is no user '%.*s'", STR_ARG(name));
    }
    req.Deletions.at = gone;
    if (!good || !alter(cli, &req, name, "deleting", &err))
        return cli_fail(cli, &err, err.code == ERR_NOT_FOUND ? "'rialto user list' shows all." : NULL);
    cli_note(cli, "deleted user %.*s; what is logged in stays so until it leaves", STR_ARG(name));
    return CLI_OK;
}

int cli_user_delete(struct cli *cli)
{
    enum auth_mechanism mechanism;
    struct err err = {0};
    int status = CLI_OK;
    if (!read_mechanism(cli, &mechanism, &err))
        return cli_fail(cli, &err, NULL);
    for (size_t i = 0; i < cli->names.len; i++) {
        int one = delete_user(cli, cli->names.at[i], mechanism);
        status = MAX(status, one);
    }
    return status;
}
