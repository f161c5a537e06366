"""Reads pusher.ffi.h with cffi, unchanged, and calls the library, which calls back."""

import json
import sys

import cffi

header, library = sys.argv[1:]
ffi = cffi.FFI()
with open(header, encoding="utf-8") as file:
    ffi.cdef(file.read())
pusher = ffi.dlopen(library)
assert pusher.pusher_version_number() == pusher.PUSHER_VERSION_NUMBER

client, out = ffi.new("Pusher **"), ffi.new("char **")
status = pusher.pusher_new(b"http://key:secret@127.0.0.1:1/apps/1", client, out)
assert status == pusher.PUSHER_STATUS_OK and out[0] == ffi.NULL

logged = []


@ffi.callback("PusherLogFn")
def log(_user_data, level, message, _fields):
    logged.append((level, ffi.string(message)))


assert pusher.pusher_set_log(client[0], log, ffi.NULL, ffi.NULL, out) == pusher.PUSHER_STATUS_OK
status = pusher.pusher_trigger(client[0], b"c", b"e", b"{}", ffi.NULL, out)
assert status == pusher.PUSHER_STATUS_NOT_SENT
assert pusher.pusher_error_delivery(out[0]) == pusher.PUSHER_DELIVERY_NOT_SENT
assert json.loads(ffi.string(out[0]))["error"]["status"] == ffi.string(pusher.pusher_status_name(status)).decode()
assert logged[-1][0] == pusher.PUSHER_LOG_LEVEL_WARN
pusher.pusher_string_free(out[0])
pusher.pusher_free(client[0])

# cffi looks a function up only when it is used: use each.
for name in dir(pusher):
    getattr(pusher, name)
