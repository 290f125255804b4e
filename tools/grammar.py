#!/usr/bin/env python3
"""Cuts doc/grammar.ebnf from the comments of src/sql: a rule is `name = ... ;` at the start of a comment line.

Usage: tools/grammar.py [--check]
  without option: writes doc/grammar.ebnf; --check: fails when the file differs from the comments, or when a rule is
  used that nobody defines. The last part, the tokens, is the text below: the lexer is no set of rules.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "doc" / "grammar.ebnf"
ORDER = ["parser.c", "parse_stmt.c", "parse_info.c", "parse_query.c", "parse_expr.c", "parse_type.c"]
HEAD = """(* The grammar of rialto's SQL, cut from the comments of src/sql by tools/grammar.py: do not edit.
   "WORD" is a keyword in any case, upper-case names without quotes are tokens, [ ] is optional, { } repeats. *)
"""
TOKENS = """
(* Tokens: the longest match wins. White space and comments (-- to the end of the line, the bracketed form) separate. *)
IDENTIFIER            = ( LETTER | "_" ) { LETTER | DIGIT | "_" | "@" } ;   (* folded to upper case *)
QUOTED_IDENTIFIER     = '"' { any | '""' } '"' ;                            (* case kept *)
BACKQUOTED_IDENTIFIER = "`" { any | "``" } "`" ;                            (* case kept *)
STRING                = "'" { any | "''" } "'" ;
INTEGER_VALUE         = DIGIT { DIGIT } ;
DECIMAL_VALUE         = DIGIT { DIGIT } "." { DIGIT } | "." DIGIT { DIGIT } ;
FLOATING_POINT_VALUE  = ( INTEGER_VALUE | DECIMAL_VALUE ) "E" [ "+" | "-" ] DIGIT { DIGIT } ;
VARIABLE              = "${" IDENTIFIER "}" ;
WORD                  = IDENTIFIER | any keyword ;
"""


def comments(text):
    for match in re.finditer(r"/\*(.*?)\*/", text, re.S):
        lines = [re.sub(r"^\s*\*? ?", "", line, count=1) if i else line.lstrip()
                 for i, line in enumerate(match.group(1).split("\n"))]
        yield [line.rstrip() for line in lines]


def rules(text):
    for lines in comments(text):
        rule = []
        for line in lines:
            if rule or re.match(r"[a-z_]+ = ", line):
                rule.append(line)
                if line.endswith(" ;"):
                    yield rule
                    rule = []


def keywords():
    text = (ROOT / "src/sql/keywords.def").read_text()
    return re.findall(r"^K\((\w+), (true|false)\)", text, re.M)


def generate():
    out, names, used = [HEAD], set(), set()
    for name in ORDER:
        out.append(f"(* {name} *)")
        for rule in rules((ROOT / "src/sql" / name).read_text()):
            body = re.sub(r"\"[^\"]*\"", "", " ".join(rule))
            names.add(rule[0].split(" ")[0])
            used.update(re.findall(r"\b[a-z_]+\b", body))
            out.extend(rule)
        out.append("")
    free = [word for word, reserved in keywords() if reserved == "false"]
    out.append("(* keywords.def: keywords that are names too *)")
    lines, line = [], "non_reserved_keyword ="
    for i, word in enumerate(free):
        item = f' "{word}"' if i == 0 else f' | "{word}"'
        if len(line) + len(item) > 108:
            lines.append(line)
            line = "    " + item.strip()
        else:
            line += item
    out.extend(lines + [line + " ;"])
    names.add("non_reserved_keyword")
    missing = sorted(used - names)
    if missing:
        sys.exit("grammar: rules used but not defined: " + ", ".join(missing))
    return "\n".join(out) + "\n" + TOKENS


def main():
    text = generate()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit("grammar: doc/grammar.ebnf differs from the comments in src/sql; run tools/grammar.py")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
