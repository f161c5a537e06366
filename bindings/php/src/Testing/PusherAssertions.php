<?php

declare(strict_types=1);

namespace LibPusher\Testing;

use PHPUnit\Framework\Attributes\After;

/** Assertions on what a test published, for classes of PHPUnit. Each test has a server of its own. */
trait PusherAssertions
{
    private ?Server $pusherServer = null;

    /** Returns the server of this test. */
    protected function pusherServer(): Server
    {
        return $this->pusherServer ??= new Server();
    }

    /**
     * Checks that this event was published, and returns the first. Waits up to `timeout` seconds, which a program needs that publishes in
     * the background.
     *
     * @param mixed $data a value as passed to trigger()
     */
    protected function assertTriggered(string $channel, string $event, mixed $data = Server::ANY, float $timeout = 0): Event
    {
        $server = $this->pusherServer();
        $found = $server->find($channel, $event, $data, $timeout);
        $with = $data === Server::ANY ? '' : ' with ' . json_encode($data);
        self::assertNotEmpty($found, "$event on $channel$with was not published. $server");

        return $found[0];
    }

    /** Checks that nothing was published, on this channel and by this name if they are given. */
    protected function assertNotTriggered(?string $channel = null, ?string $event = null): void
    {
        $server = $this->pusherServer();
        $wanted = static fn (Event $one): bool => in_array($channel, [null, $one->channel], true) && in_array($event, [null, $one->event], true);
        self::assertEmpty(array_filter($server->events(), $wanted), "Something was published. $server");
    }

    /** @after */
    #[After]
    protected function closePusherServer(): void
    {
        $this->pusherServer?->close();
        $this->pusherServer = null;
    }
}
