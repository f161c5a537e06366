"""libpusher through its C ABI, by ctypes."""

import ctypes
import json


class Answer:
    """The result of a call: a value, or the content of the error document."""

    def __init__(self, status, text):
        self.status = status
        self.text = text

    @property
    def accepted(self):
        return self.status == "OK"

    def __repr__(self):
        return f"{self.status}: {self.text}"


class Request:
    """A signed request that is not sent."""

    def __init__(self, method, url, body):
        self.method = method
        self.url = url
        self.body = body


class Library:
    def __init__(self, path):
        library = ctypes.CDLL(path)
        text, pointer, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
        out = ctypes.POINTER(pointer)

        def function(name, result, *arguments):
            found = getattr(library, name)
            found.restype, found.argtypes = result, arguments
            return found

        status = ctypes.c_int32
        self.version = function("pusher_version", text)
        self.status_name = function("pusher_status_name", text, status)
        self.new = function("pusher_new", status, text, out, out)
        self.free = function("pusher_free", None, pointer)
        self.string_free = function("pusher_string_free", None, pointer)
        self.authenticate = function("pusher_authenticate", status, pointer, text, text, text, out)
        self.authenticate_user = function("pusher_authenticate_user", status, pointer, text, text, out)
        self.validate_webhook = function("pusher_validate_webhook", status, pointer, text, text, text, size, out)
        self.prepare = function("pusher_prepare", status, pointer, text, ctypes.POINTER(text), size, out, out)
        self.request_method = function("pusher_request_method", text, pointer)
        self.request_url = function("pusher_request_url", text, pointer)
        self.request_body = function("pusher_request_body", pointer, pointer, ctypes.POINTER(size))
        self.request_free = function("pusher_request_free", None, pointer)

    def answer(self, status, out):
        document = None
        if out.value is not None:
            document = ctypes.string_at(out.value).decode()
            self.string_free(out)
        return Answer(self.status_name(status).decode(), document)


def encoded(text):
    """Returns a C string. A NUL would truncate it. Bindings refuse such strings, so the cases must not contain any."""
    if text is None:
        return None
    if "\0" in text:
        raise ValueError("a C string contains a NUL")
    return text.encode()


class Client:
    def __init__(self, library, configuration):
        self.library = library
        self.handle = ctypes.c_void_p()
        out = ctypes.c_void_p()
        status = library.new(encoded(json.dumps(configuration)), ctypes.byref(self.handle), ctypes.byref(out))
        answer = library.answer(status, out)
        if not answer.accepted:
            raise RuntimeError(f"pusher_new: {answer}")

    def authorize(self, channel, socket_id, data):
        out = ctypes.c_void_p()
        texts = encoded(channel), encoded(socket_id), encoded(data)
        return self.library.answer(self.library.authenticate(self.handle, *texts, ctypes.byref(out)), out)

    def authenticate_user(self, socket_id, data):
        out = ctypes.c_void_p()
        texts = encoded(socket_id), encoded(data)
        return self.library.answer(self.library.authenticate_user(self.handle, *texts, ctypes.byref(out)), out)

    def validate_webhook(self, key, signature, body):
        out = ctypes.c_void_p()
        status = self.library.validate_webhook(self.handle, encoded(key), encoded(signature), body, len(body), ctypes.byref(out))
        return self.library.answer(status, out)

    def prepare(self, call, texts):
        """Returns the result, and the request if the call was accepted."""
        library, request, out = self.library, ctypes.c_void_p(), ctypes.c_void_p()
        arguments = (ctypes.c_char_p * len(texts))(*map(encoded, texts))
        status = library.prepare(self.handle, encoded(call), arguments, len(texts), ctypes.byref(request), ctypes.byref(out))
        answer = library.answer(status, out)
        if request.value is None:
            return answer, None
        length = ctypes.c_size_t()
        body = library.request_body(request, ctypes.byref(length))
        made = Request(
            library.request_method(request).decode(),
            library.request_url(request).decode(),
            ctypes.string_at(body, length.value),
        )
        library.request_free(request)
        return answer, made
