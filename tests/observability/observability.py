"""Runs the code of docs/observability.md: traces, metrics and the dashboard. See scripts/observability.sh.

observability.py spans                     asserts on the spans of OpenTelemetry
observability.py cpp PROGRAM               asserts on the spans of the program in C++
observability.py metrics PROMETHEUS OUT    has a Prometheus scrape a client, and runs the dashboard's queries in it
observability.py block LANGUAGE NUMBER     prints a block of the page
"""

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from fault_server import FaultServer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "observability.md"
DASHBOARD = ROOT / "docs" / "grafana-dashboard.json"


def block(language, number):
    """Returns a block of the page, counted from 1 among those of its language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)[int(number) - 1]


def spans():
    import libpusher
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import SpanKind, StatusCode

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    page = {}
    exec(compile(block("python", 1), str(PAGE), "exec"), page)

    def publish(fault, **more):
        """Publishes by the code of the page. Returns the span of the event, those of its attempts, and the headers received."""
        exporter.clear()
        port = server.listen(fault=fault, **more)
        client = libpusher.Pusher.from_url(server.url(port), observer=page["Tracing"]("127.0.0.1", port))
        with contextlib.suppress(libpusher.PusherError):
            page["publish"](client, "my-channel", "my-event", {"hello": "world"})
        *attempts, event = exporter.get_finished_spans()
        return event, attempts, port

    with FaultServer() as server:
        event, attempts, port = publish("none")
        assert (event.name, event.kind) == ("trigger my-channel", SpanKind.PRODUCER), event
        expected = {
            "messaging.system": "pusher",
            "messaging.operation.name": "trigger",
            "messaging.operation.type": "send",
            "messaging.destination.name": "my-channel",
            "pusher.attempts": 1,
            "pusher.delivery": "delivered",
        }
        assert dict(event.attributes) == expected, event.attributes
        assert event.status.status_code is StatusCode.UNSET
        (attempt,) = attempts
        assert (attempt.name, attempt.kind) == ("POST", SpanKind.CLIENT)
        assert attempt.parent.span_id == event.context.span_id, "an attempt is below its event"
        assert event.start_time <= attempt.start_time <= attempt.end_time <= event.end_time
        has = attempt.attributes
        assert (has["http.request.method"], has["url.path"]) == ("POST", "/apps/4711/events"), has
        assert (has["server.address"], has["server.port"], has["http.response.status_code"]) == ("127.0.0.1", port, 200), has
        assert {"pusher.connect_us", "pusher.write_us", "pusher.wait_us", "pusher.read_us"} <= set(has), has
        assert has["pusher.reused"] is False

        event, attempts, _ = publish("status-403", times=0)
        assert event.status.status_code is StatusCode.ERROR and event.attributes["pusher.delivery"] == "rejected", (
            event.attributes
        )
        assert event.attributes["error.type"] == "FORBIDDEN" and len(attempts) == 1

        event, attempts, _ = publish("status-429", times=1)
        assert [span.attributes["http.response.status_code"] for span in attempts] == [429, 200], attempts
        assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1]
        assert (event.attributes["pusher.attempts"], event.attributes["pusher.delivery"]) == (2, "delivered")

    # The header, as a server receives it.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        requests = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(65536).decode())
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        exporter.clear()
        client = libpusher.Pusher.from_url(f"http://k:s@127.0.0.1:{listener.getsockname()[1]}/apps/4711")
        page["publish"](client, "my-channel", "my-event", 1)
        thread.join()
        (event,) = exporter.get_finished_spans()
        at = event.context
        traceparent = f"traceparent: 00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}"
        assert f"\r\n{traceparent}\r\n" in requests[0], requests


def cpp(program):
    with FaultServer() as server:
        environment = {"PUSHER_URL": server.url(server.listen())}
        said = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
    attempt, call = (json.loads(line) for line in said.stdout.splitlines())
    assert attempt["parent"] == call["span"] and call["parent"] == "", said.stdout
    assert len({attempt["span"], call["span"]}) == 2 and call["start_us"] <= attempt["start_us"]
    assert (call["fields"]["delivery"], attempt["fields"]["http_status"]) == ("delivered", 200)


def metrics(prometheus, out):
    import libpusher

    out = pathlib.Path(out)
    page = {}
    exec(compile(block("python", 3), str(PAGE), "exec"), page)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    with FaultServer() as server:
        client = libpusher.Pusher.from_url(server.url(server.listen()), stats_format="prometheus")
        publisher = client.publisher(stats_format="prometheus", linger_ms=0)
        server = page["metrics"](client, publisher, ports[0])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = block("yaml", 1)
        assert "127.0.0.1:9464" in config
        (out / "prometheus.yml").write_text(config.replace("9464", str(ports[0])))
        command = [
            prometheus,
            f"--config.file={out / 'prometheus.yml'}",
            f"--storage.tsdb.path={out / 'data'}",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
        ]
        with open(out / "prometheus.log", "w", encoding="utf-8") as log, subprocess.Popen(command, stderr=log) as process:
            try:
                scraped(client, publisher, ports[1], out)
            finally:
                process.terminate()
                server.shutdown()
                publisher.close()


def scraped(client, publisher, port, out):
    """Publishes until Prometheus has what the dashboard asks for, and checks its answers."""

    def query(expression):
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=20) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    queries = [target["expr"].replace("$__rate_interval", "5s") for panel in panels for target in panel["targets"]]
    queries += block("text", 2).strip().splitlines()
    assert len(queries) > 12
    missing, triggered, ends = queries, 0, time.monotonic() + 90
    while missing:
        for number in range(10):
            client.trigger("my-channel", "my-event", number)
            publisher.publish("my-channel", "my-event", number)
            triggered += 1
        time.sleep(0.2)
        # Prometheus may still be starting.
        with contextlib.suppress(OSError):
            # The alert has a result only if something failed; that it is understood is all.
            missing = [one for one in queries if not query(one) and not one.endswith("> 0")]
        if time.monotonic() > ends:
            raise SystemExit(f"no result: {missing}\n{(out / 'prometheus.log').read_text(encoding='utf-8')}")
    delivered = 'pusher_client_calls_total{call="trigger",outcome="delivered"}'
    while time.monotonic() < ends and float((query(delivered) or [{"value": [0, 0]}])[0]["value"][1]) != triggered:
        time.sleep(0.2)
    assert float(query(delivered)[0]["value"][1]) == triggered, "Prometheus has the counts of the client"
    (up,) = query("up")
    assert up["value"][1] == "1"
    print(f"   {len(queries)} queries, {triggered} events triggered, and as many published")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["spans"]:
            spans()
        case ["cpp", program]:
            cpp(program)
        case ["metrics", prometheus, out]:
            metrics(prometheus, out)
        case ["block", language, number]:
            print(block(language, number), end="")
        case _:
            sys.exit(__doc__)
