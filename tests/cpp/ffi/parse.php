<?php

// Reads pusher.ffi.h with PHP's FFI, unchanged, and calls the library.

[, $header, $library] = $argv;
$pusher = FFI::cdef(file_get_contents($header), $library);

function so(bool $holds, string $what): void
{
    if (!$holds) {
        fwrite(STDERR, "not so: $what\n");
        exit(1);
    }
}

so($pusher->pusher_version_number() === $pusher->PUSHER_VERSION_NUMBER, 'the version of the library');
$client = $pusher->new('Pusher *');
$out = $pusher->new('char *');
$status = $pusher->pusher_new('http://key:secret@127.0.0.1:1/apps/1', FFI::addr($client), FFI::addr($out));
so($status === $pusher->PUSHER_STATUS_OK && FFI::isNull($out), 'a client');
$status = $pusher->pusher_trigger($client, 'c', 'e', '{}', null, FFI::addr($out));
so($status === $pusher->PUSHER_STATUS_NOT_SENT, 'the status');
so($pusher->pusher_error_delivery(FFI::string($out)) === $pusher->PUSHER_DELIVERY_NOT_SENT, 'the delivery');
so(json_decode(FFI::string($out))->error->status === $pusher->pusher_status_name($status), 'the document');
$pusher->pusher_string_free($out);
$pusher->pusher_free($client);
