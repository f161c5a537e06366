<?php

declare(strict_types=1);

namespace LibPusher\Tests;

/** A listener of the fault server: its port and its ledger. */
final class Listener
{
    public function __construct(public readonly int $port)
    {
    }

    public function ledger(): array
    {
        return FaultServer::control('GET', "/listen/$this->port");
    }

    /** @return list<array<string, mixed>> */
    public function attempts(): array
    {
        return $this->ledger()['attempts'];
    }

    /**
     * Returns the events that a real server would have published, in order.
     *
     * @return list<array<string, mixed>>
     */
    public function applied(): array
    {
        $events = array_merge(...array_map(static fn (array $attempt): array => $attempt['applied'] ?? [], $this->attempts()));

        $known = static fn (array $event): array => array_filter($event, static fn (mixed $value): bool => $value !== null);

        return array_map($known, $events);
    }
}
