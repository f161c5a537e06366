<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\Answer;
use LibPusher\PublisherException;
use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;

final class PublisherTest extends TestCase
{
    public function testEventsAreSentInTheBackgroundInBatches(): void
    {
        $listener = FaultServer::listen();
        $publisher = FaultServer::client($listener)->publisher(['reports' => 'all', 'connections' => 1, 'linger_ms' => 200]);
        $ids = array_map(static fn (int $n): int => $publisher->publish('c', 'e', $n), range(0, 24));
        self::assertTrue($publisher->flush(10_000));
        $reports = $publisher->poll();
        self::assertSame($ids, array_column($reports, 'id'));
        self::assertSame(['OK'], array_values(array_unique(array_column($reports, 'status'))));
        self::assertSame(['delivered'], array_values(array_unique(array_column($reports, 'delivery'))));
        self::assertSame(array_map('strval', range(0, 24)), array_column($listener->applied(), 'data'));
        self::assertLessThan(25, count($listener->attempts()));
        self::assertSame([25, 25], [$publisher->stats()->events->published, $publisher->stats()->events->delivered]);
    }

    public function testAResponseThatPhpCannotRepresentCostsNoReport(): void
    {
        foreach (['{"\u0000a":1}', '[7]', 'null', '"x"'] as $answer) {
            $reports = Answer::reports("{\"reports\":[{\"id\":1,\"answer\":$answer},{\"id\":2,\"delivery\":\"delivered\"}]}");
            self::assertSame([1, 2], array_column($reports, 'id'));
            self::assertSame('delivered', $reports[1]->delivery);
        }
    }

    public function testTheDescriptorIsReadableWhileReportsWait(): void
    {
        $publisher = FaultServer::client(FaultServer::listen())->publisher(['reports' => 'all']);
        $stream = fopen('php://fd/' . $publisher->fd(), 'r');
        self::assertIsResource($stream);
        $isReadable = static function (int $seconds) use ($stream): bool {
            $read = [$stream];
            $none = null;

            return stream_select($read, $none, $none, $seconds) === 1;
        };
        self::assertFalse($isReadable(0));
        $id = $publisher->publish('c', 'e', 1);
        self::assertTrue($isReadable(Wait::SECONDS));
        self::assertSame([$id], array_column($publisher->poll(), 'id'));
        self::assertFalse($isReadable(0));
        fclose($stream);
        self::assertSame($publisher->fd(), $publisher->fd());
    }

    public function testAnotherPublisherDeliversWhatOneDidNotSend(): void
    {
        $client = FaultServer::client(FaultServer::listen());
        $publisher = $client->publisher(['max_events_per_second' => 1, 'reports' => 'all']);
        for ($number = 0; $number < 100; $number++) {
            $publisher->publish('c', 'e', $number);
        }
        $drained = $publisher->drain();
        $waiting = array_filter($publisher->poll(), static fn (object $report): bool => ($report->reason ?? '') === 'drained');
        self::assertNotEmpty($waiting);

        $other = $client->publisher(['reports' => 'all']);
        foreach ([str_replace('"name"', '"colour"', $drained), $drained . "\0"] as $wrong) {
            try {
                $other->restore($wrong);
                self::fail('restored');
            } catch (UsageException $error) {
                self::assertStringContainsString('drained', $error->getMessage());
            }
        }
        $restored = $other->restore($drained);
        $ids = array_column($waiting, 'id');
        sort($ids);
        self::assertSame($ids, array_column($restored, 'drained_id'));
        self::assertTrue($other->flush(60_000));
        self::assertSame(count($ids), $other->stats()->events->delivered);
    }

    public function testAWaitEndsAtItsTimeout(): void
    {
        $listener = FaultServer::listen(['fault' => 'silence-after-request']);
        $publisher = FaultServer::client($listener, ['timeout_ms' => 2000, 'retry' => ['mode' => 'never']])->publisher();
        self::assertSame([], $publisher->poll());
        $start = hrtime(true);
        self::assertSame([], $publisher->poll(250));
        self::assertGreaterThanOrEqual(240, (hrtime(true) - $start) / 1e6);
        $publisher->publish('c', 'e', 1);
        self::assertFalse($publisher->flush(150));
        // Forever: until the first report.
        [$report] = $publisher->poll(null);
        self::assertSame(['DELIVERY_UNKNOWN', 'unknown', 'timeout'], [$report->status, $report->delivery, $report->cause]);
        self::assertTrue($publisher->flush());
    }

    public function testASignalIsHandledDuringAWaitAndMayEndIt(): void
    {
        $publisher = FaultServer::nowhere()->publisher();
        $async = pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => throw new \DomainException('the time is up'));
        pcntl_alarm(1);
        $start = hrtime(true);
        try {
            $publisher->poll(Wait::SECONDS * 1000);
            self::fail('nothing has ended it');
        } catch (\DomainException $e) {
            self::assertSame('the time is up', $e->getMessage());
            self::assertLessThan(Wait::SECONDS / 2, (hrtime(true) - $start) / 1e9, 'it waited to the end');
        } finally {
            pcntl_signal(SIGALRM, SIG_DFL);
            pcntl_async_signals($async);
        }
    }

    public function testAClientHasStatistics(): void
    {
        $pusher = FaultServer::client(FaultServer::listen());
        $pusher->trigger('c', 'e', 1);
        $stats = $pusher->stats();
        self::assertSame(1, $stats->calls->trigger->delivered);
        self::assertSame(1, $stats->connections->opened);
        $text = FaultServer::nowhere(['stats_format' => 'prometheus'])->stats();
        self::assertStringContainsString('pusher_client_requests_total 0', $text);
    }

    public function testAClosedPublisherTakesNoEvents(): void
    {
        $publisher = FaultServer::client(FaultServer::listen())->publisher(['reports' => 'all']);
        $publisher->publish('c', 'e', 1);
        self::assertTrue($publisher->close());
        try {
            $publisher->publish('c', 'e', 2);
            self::fail('it was taken');
        } catch (PublisherException $e) {
            self::assertSame(['CLOSED', 'not_sent'], [$e->getStatus(), $e->getDelivery()]);
        }
        self::assertSame(['delivered'], array_column($publisher->poll(null), 'delivery'));
        self::assertSame([], $publisher->poll(null), 'nothing to wait for');
        self::assertTrue($publisher->close());
    }

    public function testEventsThatDoNotEndInTimeAreReported(): void
    {
        $listener = FaultServer::listen(['fault' => 'silence-after-request']);
        $pusher = FaultServer::client($listener, ['retry' => ['mode' => 'never']]);
        $publisher = $pusher->publisher(['connections' => 1, 'max_batch_events' => 1]);
        $publisher->publish('c', 'e', 1);
        $publisher->publish('c', 'e', 2);
        self::assertFalse($publisher->close(1000));
        self::assertEqualsCanonicalizing(['not_sent', 'unknown'], array_column($publisher->poll(), 'delivery'));
    }

    public function testItsStatisticsCanBeServed(): void
    {
        $publisher = FaultServer::nowhere()->publisher(['stats_format' => 'prometheus']);
        self::assertMatchesRegularExpression('/^# TYPE \w+ \w+$/m', $publisher->stats());
    }

    public function testAnEventForAUserHasNoChannel(): void
    {
        $listener = FaultServer::listen();
        $publisher = FaultServer::client($listener)->publisher();
        $publisher->publish(null, 'e', 'x', ['user_id' => '7']);
        self::assertTrue($publisher->close());
        self::assertSame(['#server-to-user-7'], array_column($listener->applied(), 'channel'));
    }

    public function testTheEndOfTheProgramSendsQueuedEvents(): void
    {
        $listener = FaultServer::listen();
        $url = var_export(FaultServer::url($listener), true);
        // By its last line, by exit, by an exception and by a fatal error; a shutdown function publishes even then.
        $ends = ['' => 0, 'exit(3);' => 3, 'throw new Exception("dead");' => 255, 'str_repeat("x", PHP_INT_MAX >> 8);' => 255];
        foreach ($ends as $end => $code) {
            $program = <<<PHP
                \$publisher = Pusher::fromUrl($url)->publisher();
                register_shutdown_function(fn () => \$publisher->publish('c', 'last', 1));
                \$publisher->publish('c', 'e', 1);
                $end
                PHP;
            $said = Wait::program($program, ['-d', 'memory_limit=64M'], [], $code);
            self::assertStringNotContainsString('Warning', $said);
        }
        self::assertSame(['e', 'last', 'e', 'last', 'e', 'last', 'e', 'last'], array_column($listener->applied(), 'name'));
    }

    public function testADestructorMayPublishWhenAnExceptionEndsTheProgram(): void
    {
        $listener = FaultServer::listen();
        $url = var_export(FaultServer::url($listener), true);
        Wait::program(<<<PHP
            \$unit = new class (Pusher::fromUrl($url)->publisher()) {
                public function __construct(private LibPusher\Publisher \$publisher) {}
                public function __destruct() { \$this->publisher->publish('c', 'from a destructor', 1); }
            };
            throw new Exception('dead');
            PHP, expected: 255);
        self::assertSame(['from a destructor'], array_column($listener->applied(), 'name'));
    }

    public function testAStringWithANulByteIsRefused(): void
    {
        $publisher = FaultServer::nowhere()->publisher();
        foreach (['channels' => ["c\0", 'e'], 'event' => ['c', "e\0"]] as $argument => [$channel, $event]) {
            try {
                $publisher->publish($channel, $event, 1);
                self::fail("$argument was taken");
            } catch (UsageException $e) {
                $said = [$e->getStatus(), $e->getArgument(), $e->getDelivery()];
                self::assertSame(['INVALID_ARGUMENT', $argument, 'not_sent'], $said);
            }
        }
    }
}
