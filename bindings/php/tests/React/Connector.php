<?php

declare(strict_types=1);

namespace LibPusher\Tests\React;

use React\EventLoop\LoopInterface;
use React\Promise\Deferred;
use React\Socket\ConnectorInterface;

/** Makes connections without TLS, as React\Socket\Connector does. */
final class Connector implements ConnectorInterface
{
    /** @var list<string> */
    public array $uris = [];

    public function __construct(private readonly LoopInterface $loop)
    {
    }

    public function connect($uri)
    {
        $this->uris[] = $uri;
        $flags = STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT;
        $stream = stream_socket_client($uri, $code, $message, null, $flags);
        $deferred = new Deferred(function () use ($stream): void {
            $this->loop->removeWriteStream($stream);
            throw new \RuntimeException('Connection cancelled');
        });
        stream_set_blocking($stream, false);
        $this->loop->addWriteStream($stream, function () use ($stream, $deferred): void {
            $this->loop->removeWriteStream($stream);
            // Without a name there is no connection.
            if (stream_socket_get_name($stream, true) === false) {
                $deferred->reject(new \RuntimeException('Connection refused'));
            } else {
                $deferred->resolve(new Connection($stream, $this->loop));
            }
        });

        return $deferred->promise();
    }
}
