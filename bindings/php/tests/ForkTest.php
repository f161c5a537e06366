<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use PHPUnit\Framework\TestCase;

/** Forked children, as in a queue's workers. Each test runs in its own program, so that it does not fork PHPUnit. */
final class ForkTest extends TestCase
{
    private const CHILDREN = 8;
    private const CALLS = 10;

    /**
     * Each child has its own channel, valid calls and invalid calls, which reveals a result or an error of another child, and a shared
     * connection.
     */
    public function testEightChildrenPublishAtOnceWithoutMixingResults(): void
    {
        $listener = FaultServer::listen();
        $said = $this->program(<<<'PHP'
            $pusher->trigger('parent', 'e', 0); // a connection is open, which no child may use
            $pids = [];
            for ($number = 0; $number < $children; ++$number) {
                if (($pid = pcntl_fork()) === 0) {
                    for ($call = 0; $call < $calls; ++$call) {
                        try {
                            $pusher->trigger("child-$number", 'e', $call, ["wrong-$number-$call" => 1]);
                            exit(1);
                        } catch (LibPusher\UsageException $e) {
                            if ($e->getArgument() !== "options.wrong-$number-$call") {
                                echo "child $number, call $call: {$e->getArgument()}\n";
                                exit(1);
                            }
                        }
                        $pusher->trigger("child-$number", 'e', $call);
                    }
                    exit(0);
                }
                $pids[] = $pid;
            }
            for ($call = 1; $call <= $calls; ++$call) {
                $pusher->trigger('parent', 'e', $call);
            }
            foreach ($pids as $pid) {
                pcntl_waitpid($pid, $status);
                echo $status, ' ';
            }
            PHP, $listener);
        self::assertSame(str_repeat('0 ', self::CHILDREN), $said);

        $data = [];
        $connections = [];
        foreach ($listener->attempts() as $attempt) {
            ['channel' => $channel, 'data' => $sent] = $attempt['applied'][0];
            $data[$channel][] = (int) $sent;
            $connections[$attempt['connection']][$channel] = true;
        }
        self::assertCount(self::CHILDREN + 1, $data);
        foreach ($data as $channel => $sent) {
            self::assertSame(range(0, $channel === 'parent' ? self::CALLS : self::CALLS - 1), $sent, $channel);
        }
        foreach ($connections as $users) {
            self::assertCount(1, $users, 'two processes shared a connection');
        }
    }

    public function testAChildMakesItsOwnPublisher(): void
    {
        $listener = FaultServer::listen();
        $said = $this->program(<<<'PHP'
            $publisher = $pusher->publisher();
            $publisher->publish('parent', 'e', 1);
            if (($pid = pcntl_fork()) === 0) {
                $calls = ['publish' => ['c', 'e', 1], 'poll' => [], 'flush' => [], 'close' => [], 'stats' => []];
                foreach ($calls as $call => $arguments) {
                    try {
                        $publisher->$call(...$arguments);
                    } catch (LibPusher\PublisherException $e) {
                        echo $e->getStatus(), ' ';
                    }
                }
                $own = $pusher->publisher(['reports' => 'all']);
                $own->publish('child', 'e', 1);
                echo $own->flush(10000) ? 'flushed ' : 'late ', $own->poll()[0]->delivery, "\n";
                exit(0);
            }
            pcntl_waitpid($pid, $status);
            echo $status, $publisher->close() ? ' closed' : ' late';
            PHP, $listener);
        self::assertSame("FORKED FORKED FORKED FORKED FORKED flushed delivered\n0 closed", $said);
        self::assertEqualsCanonicalizing(['parent', 'child'], array_column($listener->applied(), 'channel'));
    }

    private function program(string $code, Listener $listener): string
    {
        $known = sprintf(
            '[$pusher, $children, $calls] = [Pusher::fromUrl(%s), %d, %d];',
            var_export(FaultServer::url($listener), true),
            self::CHILDREN,
            self::CALLS,
        );

        return Wait::program($known . $code);
    }
}
