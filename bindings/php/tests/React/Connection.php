<?php

declare(strict_types=1);

namespace LibPusher\Tests\React;

use React\EventLoop\LoopInterface;
use React\Socket\ConnectionInterface;

/** A connection of {@see Connector}. */
final class Connection implements ConnectionInterface
{
    private array $listeners = [];
    private string $unsent = '';

    /** @param resource|null $stream */
    public function __construct(private $stream, private readonly LoopInterface $loop)
    {
        $loop->addReadStream($stream, $this->read(...));
    }

    public function on($event, callable $listener)
    {
        $this->listeners[$event] = $listener;
    }

    public function write($data)
    {
        $this->unsent .= $data;
        $this->loop->addWriteStream($this->stream, function (): void {
            $this->unsent = substr($this->unsent, (int) @fwrite($this->stream, $this->unsent));
            if ($this->unsent === '') {
                $this->loop->removeWriteStream($this->stream);
            }
        });
    }

    public function close()
    {
        if ($this->stream === null) {
            return;
        }
        $this->loop->removeReadStream($this->stream);
        $this->loop->removeWriteStream($this->stream);
        fclose($this->stream);
        $this->stream = null;
        ($this->listeners['close'] ?? static fn () => null)();
    }

    private function read(): void
    {
        $data = @fread($this->stream, 65536);
        if ($data === '' || $data === false) {
            $this->close();

            return;
        }
        ($this->listeners['data'])($data);
    }
}
