"""Rows to Markdown: per case the median and spread of each system, and the ratio to the peer that does best."""
import json
import statistics

# Suite: (column title, key, digits, is lower better)
COLUMNS = {
    "start": [("ready, ms", "ready_ms", 0, True), ("idle RSS, MB", "idle_rss_mb", 1, True)],
    "broker": [("k records/s", "k_records_per_s", 0, False), ("server CPU s per M", "server_cpu_s_per_m", 3, True),
               ("peak RSS, MB", "server_peak_mb", 0, True)],
    "raw": [("k records/s", "k_records_per_s", 0, False), ("server CPU s per M", "server_cpu_s_per_m", 3, True),
            ("peak RSS, MB", "server_peak_mb", 0, True)],
    "crowd": [("answers", "answered", 0, False), ("p50, ms", "p50_ms", 2, True), ("p99, ms", "p99_ms", 2, True), ("p99.9, ms", "p999_ms", 2, True),
              ("RSS, MB", "server_rss_mb", 0, True), ("ready, ms", "ready_ms", 0, True)],
    "latency": [("p50, ms", "p50_ms", 2, True), ("p99, ms", "p99_ms", 2, True), ("p99.9, ms", "p999_ms", 2, True),
                ("server CPU s per M", "server_cpu_s_per_m", 1, True)],
    "sql": [("k records/s", "k_records_per_s", 0, False), ("engine CPU s per M", "cpu_s_per_m", 2, True),
            ("with broker, CPU s per M", "all_cpu_s_per_m", 2, True), ("peak RSS, MB", "peak_mb", 0, True)],
}
BARE, BARE_DISK = "bare work", "the disk alone"
TITLES = {"start": "Start", "broker": "Throughput", "raw": "Prepared batches", "latency": "Latency", "crowd": "Crowd", "sql": "SQL"}


def derived(row):
    row = dict(row)
    if "records_per_s" in row:
        row["k_records_per_s"] = row["records_per_s"] / 1e3
    for name in ("p50", "p99", "p999"):
        if f"{name}_us" in row:
            row[f"{name}_ms"] = row[f"{name}_us"] / 1e3
    return row


def is_peer(system):
    return not system.startswith("rialto") and system not in (BARE, BARE_DISK)


def spread(values, digits):
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) == 1:
        return f"**{middle:,.{digits}f}**"
    return f"**{middle:,.{digits}f}** ({low:,.{digits}f}..{high:,.{digits}f})"


def ratio(system, key, lower, medians):
    """rialto's median over that of the peer that does best."""
    peers = [value for name, value in medians[key].items() if is_peer(name)]
    if not system.startswith("rialto") or not peers or system not in medians[key]:
        return ""
    best = min(peers) if lower else max(peers)
    return f"{medians[key][system] / best:.3g} x" if best else ""


def to_bare(system, medians):
    """CPU of all that took part, as a multiple of the bare work on the same bytes."""
    used = medians["all_cpu_s_per_m"]
    return f"{used[system] / used[BARE]:.1f} x" if BARE in used and system in used else ""


def case_rows(suite, case, rows):
    systems = list(dict.fromkeys(row["system"] for row in rows))
    columns = COLUMNS[suite]
    medians = {key: {system: statistics.median(values) for system in systems
                     if (values := [row[key] for row in rows if row["system"] == system and key in row])} for _, key, _, _ in columns}
    for system in systems:
        mine = [row for row in rows if row["system"] == system]
        cells = [case, system, str(len(mine))]
        for _, key, digits, lower in columns:
            values = [row[key] for row in mine if key in row]
            cells.append(spread(values, digits) if values else "-")
            cells.append(ratio(system, key, lower, medians))
        if suite == "sql":
            cells.append(to_bare(system, medians))
        others = [row["other_cpu_s"] for row in mine if "other_cpu_s" in row]
        cells.append(f"{max(others):.1f}" if others else "-")
        yield "| " + " | ".join(cells) + " |"


def markdown(path):
    """The table of one results file."""
    rows = [derived(json.loads(line)) for line in path.read_text().splitlines() if line.startswith("{")]
    out = []
    for suite in dict.fromkeys(row["suite"] for row in rows):
        titles = ["case", "system", "runs"]
        for title, *_ in COLUMNS[suite]:
            titles += [title, "to the best peer"]
        titles += ["CPU to the bare work"] if suite == "sql" else []
        titles.append("others' CPU s, most")
        out += [f"### {TITLES[suite]}", "", "| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
        mine = [row for row in rows if row["suite"] == suite]
        for case in dict.fromkeys(row["case"] for row in mine):
            out += case_rows(suite, case, [row for row in mine if row["case"] == case])
        out.append("")
    return "\n".join(out)
