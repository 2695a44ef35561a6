#!/usr/bin/env python3
"""What previews cost as they are, made of the documents of the rows that a list shows, and what they would take as
columns.

Newest 50 traces, spans, failed spans and spans of one workflow: each asked with and without previews, once after a start
with the files out of the page cache, then WARM times unmeasured and RUNS times measured. The previews of all spans of the project, in the
order of segments, are then compressed as columns of texts are: blocks of 64 KiB, zstd level 1.

    benches/peers/previews.py --target target/release --dir /var/tmp/previews --spans 1000000 --memory 419430400
"""

import http.client
import json
import shutil
import statistics
import time

import zstandard

from over_http import RUNS, WARM, Connection, Server, arguments, filled
from run import drop_caches

BLOCK_BYTES = 64 << 10
LISTS = {
    "newest 50 traces": ("/traces", "", "trace_id"),
    "newest 50 spans": ("/spans", "", "span_id"),
    "newest 50 failed spans": ("/spans", "status:error", "span_id"),
    "newest 50 of one workflow": ("/spans", "metadata.workflow:wf-3 metadata.env:prod", "span_id"),
}


def asked(asker, name, with_previews):
    route, q, fields = LISTS[name]
    if with_previews:
        fields += ",input_preview,output_preview"
    return asker.get(route, **({"q": q} if q else {}), limit=50, fields=fields)


def timed(connection, one):
    begun = time.perf_counter()
    connection.send(one)
    return (time.perf_counter() - begun) * 1e3


def cold(server, one, files):
    server.stop()
    drop_caches(files)
    server.start()
    server.await_quiet()
    return timed(Connection(server.port), one)


def exported(server, asker):
    """Input and output previews of every span of the project, in the order of segments."""
    project = asker.asked["project"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    fields = "trace_id,start,span_id,input_preview,output_preview"
    path = f"/v1/projects/{project + 1}/export?over=spans&format=jsonl&fields={fields}"
    connection.request("GET", path, headers={"x-api-key": asker.keys[project]})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {answer.read()[:300]!r}")
    rows = [json.loads(line) for line in answer]
    rows.sort(key=lambda row: (row["start"][:15], row["trace_id"], row["start"], row["span_id"]))
    return rows


def as_column(texts):
    """Bytes raw and compressed."""
    raw = b"".join(text.encode() + b"\0" for text in texts)
    blocks = (raw[at:at + BLOCK_BYTES] for at in range(0, len(raw), BLOCK_BYTES))
    return len(raw), sum(len(zstandard.ZstdCompressor(level=1).compress(block)) for block in blocks)


def main():
    args = arguments(__doc__).parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    data = args.dir / "data"
    server = Server(str(args.target / "obsrv"), str(data), args.memory)
    server.start()
    try:
        asker = filled(server, args)
        server.await_quiet()
        print("| list | cold, without / with previews, ms | hot, without / with, ms |\n|---|---|---|")
        for name in LISTS:
            ones = [asked(asker, name, with_previews) for with_previews in (False, True)]
            first = [cold(server, one, data) for one in ones]
            connection, hot = Connection(server.port), []
            for one in ones:
                times = [timed(connection, one) for _ in range(WARM + RUNS)]
                hot.append(statistics.median(times[WARM:]))
            print(f"| {name} | {first[0]:.2f} / {first[1]:.2f} | {hot[0]:.2f} / {hot[1]:.2f} |", flush=True)
        rows = exported(server, asker)
    finally:
        server.stop()
    print("\n| as a column | spans that have it | bytes a span, raw | compressed |\n|---|---|---|---|")
    for name in ("input_preview", "output_preview"):
        texts = [row.get(name) or "" for row in rows]
        there = sum(1 for text in texts if text) / len(texts)
        raw, packed = as_column(texts)
        print(f"| {name} | {there:.0%} | {raw / len(texts):.0f} | {packed / len(texts):.1f} |")
    shutil.rmtree(args.dir)


main()
