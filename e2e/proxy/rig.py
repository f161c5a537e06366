"""Fixtures of the proxy tests: the library by ctypes, a server, real proxies and a scripted proxy."""

import ctypes
import json
import os
import socket
import ssl
import subprocess
import threading
import time


class Outcome:
    """The result of a call."""

    def __init__(self, status, text, seconds):
        error = json.loads(text)["error"] if status != "OK" else {}
        self.status, self.text, self.seconds = status, text, seconds
        self.cause, self.delivery = error.get("cause"), error.get("delivery")
        self.message, self.http_status = error.get("message", ""), error.get("http_status")

    def __repr__(self):
        return f"{self.status}/{self.cause}/{self.delivery} after {self.seconds:.3f} s: {self.text}"


class Library:
    """The library. `said` collects all its documents and log lines."""

    LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p)

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.c.pusher_status_name.restype = ctypes.c_char_p
        self.said = []
        self.log = self.LOG(lambda _, level, message, fields: self.said.append((message + fields).decode()))

    def _take(self, out):
        text = ctypes.string_at(out).decode() if out.value else ""
        self.c.pusher_string_free(out)
        self.said.append(text)
        return text

    def client(self, **config):
        config = {
            "app_id": "1",
            "key": "k",
            "secret": "s",
            "host": "127.0.0.1",
            "log_level": "debug",
            "retry": {"mode": "never"},
            **config,
        }
        client, out = ctypes.c_void_p(), ctypes.c_void_p()
        self.c.pusher_new(json.dumps(config).encode(), ctypes.byref(client), ctypes.byref(out))
        text = self._take(out)
        if not client.value:
            raise ValueError(text)
        self.c.pusher_set_log(client, self.log, None, None, None)
        return Client(self, client)


class Client:
    def __init__(self, library, handle):
        self.library, self.handle = library, handle

    def trigger(self, event="e"):
        out, start = ctypes.c_void_p(), time.monotonic()
        arguments = (b"c", event.encode(), b'"payload"', None)
        status = self.library.c.pusher_trigger(self.handle, *arguments, ctypes.byref(out))
        seconds = time.monotonic() - start
        name = self.library.c.pusher_status_name(status).decode()
        return Outcome(name, self.library._take(out), seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.c.pusher_free(self.handle)


def listener():
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def closed_port():
    """Returns a port on which no socket listens, unless a program asks for it by number."""
    with listener() as probe:
        return probe.getsockname()[1]


class Server:
    """Responds to every request with 200 and {}, and keeps the connection. Reads the event `vanish`, but never responds.

    `requests` holds the head of each request, `connections` counts the connections."""

    def __init__(self, certificate=None):
        self.socket, self.requests, self.connections = listener(), [], 0
        self.port = self.socket.getsockname()[1]
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as stream:
                self.connections += 1
                file = stream.makefile("rb")
                while head := read_head(file):
                    lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                    body = file.read(int(lengths[0].split(":")[1]))
                    self.requests.append(head)
                    if b'"vanish"' in body:
                        return
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except OSError:
            pass  # A client that does not trust the certificate closes the connection.


def read_head(file):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            return ""
        head += line
    return head.decode()


class ScriptedProxy:
    """Reads the head of a request and runs `script(connection, head)`."""

    def __init__(self, script):
        self.socket, self.script, self.heads = listener(), script, []
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    # One byte at a time: the script reads the bytes after the head.
                    byte = connection.recv(1)
                    if not byte:
                        return
                    head += byte
                self.heads.append(head.decode())
                self.script(connection, head.decode())
            except OSError:
                pass  # The client has closed the connection.

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def relay(connection, port):
    """Relays bytes between a tunnel and a port until one side closes."""

    def copy(source, drain):
        try:
            while data := source.recv(65536):
                drain.sendall(data)
            drain.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    with socket.create_connection(("127.0.0.1", port)) as target:
        back = threading.Thread(target=copy, args=(target, connection), daemon=True)
        back.start()
        copy(connection, target)
        back.join()


def wait_until_closed(port):
    """Waits until the peer has closed every connection to this port of 127.0.0.1."""
    established = "01"
    for _ in range(1000):
        with open("/proc/net/tcp", encoding="ascii") as file:
            connections = [line.split()[2:4] for line in file.readlines()[1:]]
        if not any(remote.endswith(f":{port:04X}") and state == established for remote, state in connections):
            return
        time.sleep(0.01)
    raise AssertionError(f"a connection to port {port} stays open")


class RealProxy:
    """A proxy from a Debian package, as a process. `command` must stay in the foreground."""

    def __init__(self, port, command, log):
        self.port, self.log = port, log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    with open(log, errors="replace") as text:
                        raise SystemExit(f"{command[0]} does not start:\n{text.read()}") from None
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def tinyproxy(folder, name, *lines):
    port = closed_port()
    text = "\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 50", "LogLevel Info", *lines, ""])
    return RealProxy(port, ["tinyproxy", "-d", "-c", write(folder, f"{name}.conf", text)], f"{folder}/{name}.log")


def squid(folder, name, user=None, password=None):
    port = closed_port()
    access = ["http_access allow all"]
    if user:
        hashed = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password, text=True, capture_output=True)
        users = write(folder, f"{name}.users", f"{user}:{hashed.stdout.strip()}\n")
        access = [
            f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}",
            "auth_param basic utf8 off",
            "auth_param basic children 2 startup=1",
            "acl users proxy_auth REQUIRED",
            "http_access allow users",
            "http_access deny all",
        ]
    lines = [
        f"http_port 127.0.0.1:{port}",
        "pid_filename none",
        "access_log none",
        "cache_log stdio:/dev/stderr",
        "cache deny all",
        "cache_mem 1 MB",
        "max_filedescriptors 1024",
        "pinger_enable off",
        "netdb_filename none",
        "visible_hostname localhost",
        "shutdown_lifetime 0 seconds",
        *access,
        "",
    ]
    configuration = write(folder, f"{name}.conf", "\n".join(lines))
    # Squid changes its user if it runs as root. That user must read its files and write its log.
    for file in os.listdir(folder):
        if file.startswith(name):
            os.chmod(os.path.join(folder, file), 0o644)
    return RealProxy(port, ["/usr/sbin/squid", "-N", "-d", "1", "-f", configuration], f"{folder}/{name}.log")


def certificates(folder):
    """Writes an authority with a certificate for 127.0.0.1, and an authority that has issued no certificate."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ["ca", "other"]:
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    write(folder, "server.ext", "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "server.ext",
        "-out",
        "server.pem",
    )
    return [os.path.join(folder, name) for name in ["ca.pem", "other.pem", "server.pem", "server.key"]]
