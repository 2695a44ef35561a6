#!/usr/bin/env python3
"""How soon a question ends whose client went away.

Each question is asked TIMES times, each time on a connection of its own, which is closed a while after: after the part
of the question's own time that the run's number says. From then on is asked how many questions run, until none does.
A question that was over before its client went away does not count.

    benches/peers/cancel.py --target target/release --dir /var/tmp/cancel --spans 1000000 --memory 419430400
"""

import http.client
import re
import shutil
import statistics
import sys
import time

from over_http import Connection, Server, arguments, filled

TIMES = 20
END_MAX_MS = 200
PATIENCE_S = 30


def questions(asker):
    page = {"limit": 50, "fields": "span_id", "total": "true"}
    phrase = asker.words("phrase")
    by_session = {"q": "has:metadata.session", "group_by": ["metadata.session"]}
    measures = [{"fn": "quantile", "of": "duration", "q": [0.5, 0.99]}, {"fn": "distinct", "of": "metadata.user"}]
    return {
        "a regular expression that no index helps, with a total": asker.get("/spans", q='=~"[xyz]{9}"', **page),
        "a phrase of common words, with a total": asker.get("/spans", q=phrase, **page),
        "quantiles and users by session": asker.post(**by_session, measures=measures, limit=10),
        "an export of all spans": asker.get("/export", over="spans", format="jsonl"),
    }


def running(watch):
    watch.request("GET", "/metrics")
    text = watch.getresponse().read().decode()
    return sum(int(n) for n in re.findall(r"obsrv_queries_running\{[^}]*\} (\d+)", text))


def whole(server, one):
    """Seconds that it takes if its client stays."""
    connection = Connection(server.port)
    begun = time.perf_counter()
    connection.socket.sendall(one)
    connection.socket.settimeout(PATIENCE_S)
    head, is_chunked = b"", False
    while True:
        head = (head + connection.socket.recv(1 << 20))[-(1 << 16):]
        is_chunked |= b"transfer-encoding: chunked" in head
        if head.endswith(b"0\r\n\r\n") or (not is_chunked and b"\r\n\r\n" in head):
            return time.perf_counter() - begun


def ended(server, watch, one, wait):
    """Milliseconds until nothing runs any more; none if that was so when the client went away."""
    connection = Connection(server.port)
    connection.socket.sendall(one)
    time.sleep(wait)
    if not running(watch):
        connection.socket.close()
        return None
    connection.socket.close()
    gone = time.perf_counter()
    while running(watch):
        if time.perf_counter() - gone > PATIENCE_S:
            sys.exit("a question goes on without its client")
    return (time.perf_counter() - gone) * 1e3


def main():
    args = arguments(__doc__).parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    server = Server(str(args.target / "obsrv"), str(args.dir / "data"), args.memory)
    server.start()
    late = []
    try:
        asker = filled(server, args)
        server.await_quiet()
        watch = http.client.HTTPConnection("127.0.0.1", server.port)
        print("| question | whole, ms | cut off | until it ended, median / longest, ms |\n|---|---|---|---|")
        for name, one in questions(asker).items():
            takes = whole(server, one)
            times = [ended(server, watch, one, takes * (run + 1) / (TIMES + 2)) for run in range(TIMES)]
            times = [took for took in times if took is not None]
            if not times:
                print(f"| {name} | {takes * 1e3:.0f} | none |  |")
                continue
            print(f"| {name} | {takes * 1e3:.0f} | {len(times)} | {statistics.median(times):.1f} / {max(times):.1f} |")
            if max(times) > END_MAX_MS:
                late.append(name)
    finally:
        server.stop()
    shutil.rmtree(args.dir)
    if late:
        sys.exit(f"ended later than {END_MAX_MS} ms: {', '.join(late)}")


main()
