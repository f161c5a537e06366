#!/usr/bin/env python3
"""Tests the library with real proxies, with a scripted proxy, and with different sets of trusted certificates.

    proxy.py LIBRARY FOLDER

Standard library only. It listens on 127.0.0.1 only."""

import base64
import os
import socket
import struct
import sys
import time
import unittest
import urllib.parse

import rig

LIBRARY, FOLDER = None, None
USER = "canary-user"
# tinyproxy accepts simple passwords only.
SIMPLE, HARD = "canary-simple.pw", "canary:h@rd/p%w?#ä"
WRONG = "canary-wrong"


def url(port, user=None, password=None):
    if not user:
        return f"http://127.0.0.1:{port}"
    user, password = urllib.parse.quote(user, safe=""), urllib.parse.quote(password, safe="")
    return f"http://{user}:{password}@127.0.0.1:{port}"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not hasattr(Case, "https"):
            Case.ca, Case.other_ca, *certificate = rig.certificates(FOLDER)
            Case.library = rig.Library(LIBRARY)
            Case.https, Case.http = rig.Server(certificate), rig.Server()

    def setUp(self):
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_"):
                del os.environ[name]

    def client(self, ssl=True, **config):
        if ssl and "tls_roots" not in config:
            config.setdefault("ca_file", self.ca)
        return self.library.client(**{"ssl": ssl, "port": (self.https if ssl else self.http).port, **config})

    def trigger(self, ssl=True, event="e", **config):
        with self.client(ssl, **config) as client:
            return client.trigger(event)

    def check(self, outcome, status, cause=None, delivery=None):
        self.assertEqual((outcome.status, outcome.cause), (status, cause), outcome)
        if status == "NOT_SENT":
            self.assertEqual(outcome.delivery, "not_sent", outcome)
        if delivery:
            self.assertEqual(outcome.delivery, delivery, outcome)
        return outcome


class RealProxies:
    """The tests for every real proxy. `open` needs no credentials, `closed` needs USER and `password`."""

    def test_a_tunnel_is_kept_alive(self):
        before = self.https.connections, len(self.https.requests)
        with self.client(proxy=url(self.open.port)) as client:
            for _ in range(3):
                self.check(client.trigger(), "OK")
        self.assertEqual((self.https.connections, len(self.https.requests)), (before[0] + 1, before[1] + 3))
        self.assertNotIn("proxy", self.https.requests[-1].lower())

    def after_response(self):
        """Waits for what the proxy does after a response."""

    def test_plain_http_goes_through_without_a_tunnel(self):
        with self.client(ssl=False, proxy=url(self.open.port)) as client:
            for _ in range(3):
                self.check(client.trigger(), "OK")
                head = self.http.requests[-1]
                self.assertTrue(head.startswith("POST /apps/1/events?"), head)
                self.assertIn(f"\r\nhost: 127.0.0.1:{self.http.port}\r\n", head.lower())
                self.assertIn("\r\nvia: ", head.lower())
                self.after_response()

    def test_the_right_password(self):
        proxy = url(self.closed.port, USER, self.password)
        self.check(self.trigger(proxy=proxy), "OK")
        self.check(self.trigger(ssl=False, proxy=proxy), "OK")
        for head in self.http.requests[-1], self.https.requests[-1]:
            self.assertNotIn("authorization", head.lower())

    def test_a_wrong_password_and_no_password(self):
        for proxy in url(self.closed.port, USER, WRONG), url(self.closed.port):
            before = len(self.https.requests) + len(self.http.requests)
            outcome = self.check(self.trigger(proxy=proxy), "NOT_SENT", "proxy")
            # tinyproxy responds with 401 if the credentials are wrong.
            self.assertRegex(outcome.message, "407|401")
            # Without a tunnel, a client cannot distinguish a response of the proxy from one of the server.
            outcome = self.trigger(ssl=False, proxy=proxy)
            self.assertEqual((outcome.delivery, outcome.http_status in (401, 407)), ("rejected", True), outcome)
            self.assertEqual(len(self.https.requests) + len(self.http.requests), before)

    def test_a_target_that_refuses(self):
        port = rig.closed_port()
        outcome = self.check(self.trigger(port=port, proxy=url(self.open.port)), "NOT_SENT", "proxy")
        self.assertRegex(outcome.message, "is 50[0-9]")
        # A proxy before this one may have forwarded the request, so the delivery is unknown.
        outcome = self.trigger(ssl=False, port=port, proxy=url(self.open.port))
        self.check(outcome, "SERVER_ERROR", outcome.cause, "unknown")

    def test_the_server_after_a_tunnel_never_responds(self):
        outcome = self.trigger(event="vanish", proxy=url(self.open.port))
        self.check(outcome, "DELIVERY_UNKNOWN", "closed", "unknown")

    def test_the_environment(self):
        os.environ["https_proxy"] = url(self.closed.port, USER, self.password)
        os.environ["http_proxy"] = f"127.0.0.1:{self.open.port}"
        self.check(self.trigger(proxy="env"), "OK")
        self.check(self.trigger(ssl=False, proxy="env"), "OK")
        self.assertIn("\r\nvia: ", self.http.requests[-1].lower())


class Tinyproxy(RealProxies, Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.password = SIMPLE
        cls.open = rig.tinyproxy(FOLDER, "tinyproxy-open")
        cls.addClassCleanup(cls.open.stop)
        cls.closed = rig.tinyproxy(FOLDER, "tinyproxy-closed", f"BasicAuth {USER} {SIMPLE}")
        cls.addClassCleanup(cls.closed.stop)

    def after_response(self):
        """tinyproxy closes the connection without announcing it. A request that it gets before that is lost, and its
        delivery unknown: the client cannot see the end coming."""
        rig.wait_until_closed(self.open.port)

    def test_a_port_that_the_proxy_does_not_allow(self):
        proxy = rig.tinyproxy(FOLDER, "tinyproxy-ports", "ConnectPort 443")
        self.addCleanup(proxy.stop)
        outcome = self.check(self.trigger(proxy=url(proxy.port)), "NOT_SENT", "proxy")
        self.assertIn("is 403", outcome.message)


class Squid(RealProxies, Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.password = HARD
        cls.open = rig.squid(FOLDER, "squid-open")
        cls.addClassCleanup(cls.open.stop)
        cls.closed = rig.squid(FOLDER, "squid-closed", USER, HARD)
        cls.addClassCleanup(cls.closed.stop)


class Environment(Case):
    """A closed port as the proxy shows whether the library uses the proxy."""

    def outcome(self, ssl, proxy="env", **variables):
        self.setUp()
        os.environ.update({name: value.format(url(rig.closed_port())) for name, value in variables.items()})
        return self.trigger(ssl, proxy=proxy)

    def test_a_proxy_that_is_down(self):
        down = url(rig.closed_port(), USER, SIMPLE)
        self.check(self.trigger(proxy=down), "NOT_SENT", "connect")
        self.check(self.trigger(ssl=False, proxy=down), "NOT_SENT", "connect")

    def test_the_variables_that_count(self):
        for ssl, name in [
            (True, "HTTPS_PROXY"),
            (True, "https_proxy"),
            (True, "ALL_PROXY"),
            (True, "all_proxy"),
            (False, "http_proxy"),
            (False, "ALL_PROXY"),
            (False, "all_proxy"),
        ]:
            with self.subTest(name=name, ssl=ssl):
                self.check(self.outcome(ssl, **{name: "{}"}), "NOT_SENT", "connect")

    def test_the_variables_that_do_not_count(self):
        for ssl, name in [(False, "HTTP_PROXY"), (True, "HTTP_PROXY"), (True, "http_proxy"), (False, "HTTPS_PROXY")]:
            with self.subTest(name=name, ssl=ssl):
                self.check(self.outcome(ssl, **{name: "{}"}), "OK")

    def test_without_env_no_variable_counts(self):
        variables = {name: "{}" for name in ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY"]}
        for ssl in True, False:
            with self.client(ssl) as client:
                os.environ.update(variables)
                self.check(client.trigger(), "OK")
        os.environ.update({name: url(rig.closed_port()) for name in variables})
        self.check(self.trigger(), "OK")
        self.check(self.trigger(ssl=False), "OK")

    def test_no_proxy(self):
        for exempt in ["127.0.0.1", "*", "example.org, 127.0.0.1", ".example.org,127.0.0.1,"]:
            for name in "NO_PROXY", "no_proxy":
                with self.subTest(exempt=exempt, name=name):
                    self.check(self.outcome(True, HTTPS_PROXY="{}", **{name: exempt}), "OK")
        for exempt in ["", "example.org", "7.0.0.1", "127.0.0.10", ","]:
            with self.subTest(exempt=exempt):
                self.check(self.outcome(True, HTTPS_PROXY="{}", NO_PROXY=exempt), "NOT_SENT", "connect")
        # NO_PROXY has no effect on a proxy of the configuration.
        proxy = url(rig.closed_port())
        self.check(self.outcome(True, proxy=proxy, NO_PROXY="*"), "NOT_SENT", "connect")


class Scripted(Case):
    """The responses of a proxy to CONNECT."""

    ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

    def through(self, script, ssl=True, user=None, event="e", **config):
        """Triggers through a proxy with this script, or one that sends these bytes and closes the connection."""
        run = script if callable(script) else lambda connection, _: self.say_and_end(connection, script)
        with rig.ScriptedProxy(run) as proxy:
            address = proxy.url.replace("//", f"//{USER}:{SIMPLE}@") if user else proxy.url
            outcome = self.trigger(ssl, event, proxy=address, **config)
            self.heads = proxy.heads
            return outcome

    @staticmethod
    def say_and_end(connection, data):
        connection.sendall(data)
        # Unread bytes would turn the FIN into a reset.
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    def tunnel(self, *pieces, pause=0.02):
        """Returns a script that sends the response in pieces, then opens the tunnel."""

        def script(connection, _):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            rig.relay(connection, self.https.port)

        return script

    def test_the_connect_request(self):
        self.check(self.through(self.tunnel(self.ESTABLISHED), user=USER), "OK")
        lines = self.heads[0].split("\r\n")
        authorization = base64.b64encode(f"{USER}:{SIMPLE}".encode()).decode()
        target = f"127.0.0.1:{self.https.port}"
        self.assertEqual(lines[0], f"CONNECT {target} HTTP/1.1")
        self.assertEqual(sorted(lines[1:-2]), [f"Host: {target}", f"Proxy-Authorization: Basic {authorization}"])

    def test_without_tls_the_request_has_the_whole_url(self):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        self.check(self.through(answer, ssl=False, user=USER), "OK")
        head = self.heads[0]
        authorization = base64.b64encode(f"{USER}:{SIMPLE}".encode()).decode()
        self.assertTrue(head.startswith(f"POST http://127.0.0.1:{self.http.port}/apps/1/events?"), head)
        self.assertIn(f"\r\nproxy-authorization: basic {authorization.lower()}\r\n", head.lower())

    def test_responses_that_open_a_tunnel(self):
        interim = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        single = [self.ESTABLISHED[at : at + 1] for at in range(len(self.ESTABLISHED))]
        header = b"X-Filler: " + 8 * 1024 * b"x" + b"\r\n"
        for name, pieces in {
            "in one piece": [self.ESTABLISHED],
            "byte by byte": single,
            "HTTP/1.0": [b"HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n"],
            "201": [b"HTTP/1.1 201 Created\r\n\r\n"],
            "no reason": [b"HTTP/1.1 200\r\n\r\n"],
            "interim answers first": [*interim, self.ESTABLISHED],
            "interim answers in the same piece": [b"".join([*interim, self.ESTABLISHED])],
            "a long head": [self.ESTABLISHED[:-2] + header + b"\r\n"],
        }.items():
            with self.subTest(name):
                self.check(self.through(self.tunnel(*pieces, pause=0.005)), "OK")

    def test_responses_that_open_no_tunnel(self):
        before = len(self.https.requests)
        fields = b"".join(b"X-%d: y\r\n" % number for number in range(5000))
        for name, (answer, cause) in {
            "nothing": (b"", "closed"),
            "half a status line": (b"HTTP/1.1 20", "closed"),
            "half a head": (b"HTTP/1.1 200 OK\r\nX: y\r\n", "closed"),
            "only an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n", "closed"),
            "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "proxy"),
            "binary": (bytes(range(256)), "proxy"),
            "TLS": (b"\x15\x03\x01\x00\x02\x02\x16", "proxy"),
            "no head": (b"<html>200 OK</html>\n", "proxy"),
            "HTTP/2": (b"HTTP/2 200\r\n\r\n", "proxy"),
            "no number": (b"HTTP/1.1 OK\r\n\r\n", "proxy"),
            "a header that is none": (b"HTTP/1.1 200 OK\r\n: :\r\n\x00\r\n\r\n", "proxy"),
            "a head that is too long": (b"HTTP/1.1 200 OK\r\nX: " + 17 * 1024 * b"y" + b"\r\n\r\n", "proxy"),
            "a line without an end": (b"HTTP/1.1 200 OK\r\nX: " + 64 * 1024 * b"y", "proxy"),
            "too many fields": (b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n", "proxy"),
            "bytes after the head": (self.ESTABLISHED + b"x", "proxy"),
            "two answers": (2 * self.ESTABLISHED, "proxy"),
            "an upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + b"x", "proxy"),
        }.items():
            with self.subTest(name):
                self.check(self.through(answer), "NOT_SENT", cause)
        for status in 300, 301, 302, 307, 400, 401, 403, 404, 407, 429, 500, 502, 503, 504, 511, 599:
            with self.subTest(status):
                answer = f"HTTP/1.1 {status} Reason\r\nLocation: http://127.0.0.1/\r\nContent-Length: 3\r\n\r\nno\n".encode()
                outcome = self.check(self.through(answer), "NOT_SENT", "proxy")
                self.assertIn(str(status), outcome.message)
        self.assertEqual(len(self.https.requests), before)

    def test_a_reset(self):
        def reset(connection, _):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        self.check(self.through(reset), "NOT_SENT", "reset")

    def test_a_tunnel_that_ends_at_once(self):
        outcome = self.through(self.ESTABLISHED)
        self.assertIn(outcome.cause, ("closed", "reset", "tls"), outcome)
        self.check(outcome, "NOT_SENT", outcome.cause)

    def test_a_tunnel_to_another_host(self):
        def elsewhere(connection, _):
            connection.sendall(self.ESTABLISHED)
            rig.relay(connection, self.http.port)

        self.check(self.through(elsewhere, timeout_ms=500), "NOT_SENT", "timeout")

        def no_tls(connection, _):
            connection.sendall(self.ESTABLISHED)
            connection.recv(1)
            self.say_and_end(connection, b"HTTP/1.1 400 Bad Request\r\n\r\n")

        self.check(self.through(no_tls), "NOT_SENT", "tls")

    def in_time(self, script, seconds, **config):
        outcome = self.check(self.through(script, **config), "NOT_SENT", "timeout")
        self.assertGreater(outcome.seconds, seconds - 0.01, outcome)
        # What drips ends after three seconds.
        self.assertLess(outcome.seconds, seconds + 1.5, outcome)

    def test_the_deadline_holds_whatever_drips(self):
        def drip(endless):
            def script(connection, _):
                end = time.monotonic() + 3
                for piece in endless():
                    connection.sendall(piece)
                    time.sleep(0.03)
                    if time.monotonic() > end:
                        return  # The deadline has long passed.

            return script

        def header():
            yield b"HTTP/1.1 200 OK\r\nX: "
            while True:
                yield b"y"

        def interim():
            while True:
                yield b"HTTP/1.1 100 Continue\r\n\r\n"

        def nothing():
            while True:
                yield b""

        def handshake():
            # A TLS record that is never complete.
            yield self.ESTABLISHED
            time.sleep(0.1)
            yield b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
            while True:
                yield b"\x00"

        for script in header, interim, nothing, handshake:
            with self.subTest(script.__name__):
                self.in_time(drip(script), 0.7, timeout_ms=700)
                self.in_time(drip(script), 0.4, timeout_ms=5000, connect_timeout_ms=400)


class Roots(Case):
    """The trusted certificates. A local authority has issued the certificate of the server."""

    def outcome(self, file=None, folder=None, **config):
        self.setUp()
        os.environ.update({name: path for name, path in [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)] if path})
        return self.trigger(**config)

    def test_a_file_replaces_all_others(self):
        self.check(self.outcome(ca_file=self.ca), "OK")
        self.check(self.outcome(ca_file=self.ca, file=self.other_ca), "OK")
        self.check(self.outcome(ca_file=self.other_ca, file=self.ca), "NOT_SENT", "tls")
        self.check(self.outcome(ca_file=os.path.join(FOLDER, "none.pem"), file=self.ca), "NOT_SENT", "tls")

    def test_the_system_certificates(self):
        self.check(self.outcome(tls_roots="system"), "NOT_SENT", "tls")
        self.check(self.outcome(tls_roots="system", file=self.ca), "OK")
        self.check(self.outcome(tls_roots="system", file=self.other_ca), "NOT_SENT", "tls")
        self.check(self.outcome(tls_roots="system", file=os.path.join(FOLDER, "none.pem")), "NOT_SENT", "tls")

    def test_the_bundled_certificates(self):
        self.check(self.outcome(tls_roots="bundled"), "NOT_SENT", "tls")
        self.check(self.outcome(tls_roots="bundled", file=self.ca), "NOT_SENT", "tls")

    def test_both_sets_of_certificates(self):
        self.check(self.outcome(tls_roots="both"), "NOT_SENT", "tls")
        self.check(self.outcome(tls_roots="both", file=self.ca), "OK")
        # With "both", missing system certificates are not an error: the bundled ones replace them.
        outcome = self.check(self.outcome(tls_roots="both", file=os.path.join(FOLDER, "none.pem")), "NOT_SENT", "tls")
        self.assertRegex(outcome.message, "(?i)UnknownIssuer|unknown issuer")


class Secrecy(Case):
    """Runs last: checks that no document or log line of the library contained a password."""

    def test_no_output_contains_a_password(self):
        said = "\n".join(self.library.said)
        for password in SIMPLE, HARD, WRONG:
            pair = f"{USER}:{password}".encode()
            for form in password, urllib.parse.quote(password, safe=""), base64.b64encode(pair).decode(), pair.hex():
                self.assertNotIn(form, said)
        self.assertNotIn("Basic ", said)
        # The output does mention proxies and passwords.
        self.assertIn("check the user and password in `proxy`", said)
        self.assertGreater(len(self.library.said), 200)


def load_tests(loader, *_):
    cases = Tinyproxy, Squid, Environment, Scripted, Roots, Secrecy
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)


if __name__ == "__main__":
    LIBRARY, FOLDER = (os.path.abspath(argument) for argument in sys.argv[1:])
    unittest.main(argv=sys.argv[:1])
