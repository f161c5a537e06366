<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\Pusher;
use LibPusher\PusherException;
use PHPUnit\Framework\TestCase;

/** The common cases of all bindings (tests/conformance.json and tests/answers.json). */
final class ConformanceTest extends TestCase
{
    private const FLUSH_MS = 10_000; // the time limit of a publisher's flush

    /** @var list<object>|null */
    private ?array $reports = null;

    /** @return iterable<string, array{object}> */
    public static function cases(): iterable
    {
        foreach (['conformance', 'answers'] as $name) {
            foreach (self::file($name)->cases as $index => $case) {
                yield "$name $index $case->name" => [$case];
            }
        }
    }

    public function testTheCredentialsAreThoseOfTheFaultServer(): void
    {
        self::assertSame(FaultServer::credentials(), (array) self::file()->credentials);
    }

    /** @dataProvider cases */
    public function testCase(object $case): void
    {
        $listener = $case->server === null ? null : FaultServer::listen((array) $case->server);
        try {
            $result = $this->perform($case, $listener);
            self::assertFalse(isset($case->error), 'succeeded: ' . json_encode($result));
            $this->checkResult($case, $result);
        } catch (PusherException $e) {
            if (!isset($case->error)) {
                throw $e;
            }
            $this->checkError($case->error, $e);
        }
        if (isset($case->published) && $listener !== null) {
            $this->checkPublished($case->published, $listener->applied());
        }
    }

    private static function file(string $name = 'conformance'): object
    {
        $name = __DIR__ . "/../../../tests/$name.json";

        return self::expanded(json_decode((string) file_get_contents($name), false, flags: JSON_THROW_ON_ERROR));
    }

    /** Expands each {"repeat", "times"} in the value. */
    private static function expanded(mixed $value): mixed
    {
        if (is_array($value)) {
            return array_map(self::expanded(...), $value);
        }
        if (!is_object($value)) {
            return $value;
        }
        $members = get_object_vars($value);
        if (array_keys($members) === ['repeat', 'times']) {
            return str_repeat($members['repeat'], $members['times']);
        }
        foreach ($members as $name => $member) {
            $value->$name = self::expanded($member);
        }

        return $value;
    }

    private function client(object $case, ?Listener $listener): Pusher
    {
        if ($case->call === 'new' && isset($case->arguments->config)) {
            return Pusher::fromUrl($case->arguments->config);
        }
        $server = ['host' => '127.0.0.1', 'port' => $listener->port ?? 1, 'ssl' => false];
        if ($case->server->tls ?? false) {
            $server = ['host' => 'localhost', 'ssl' => true, 'ca_file' => FaultServer::ready()['ca']] + $server;
        }

        return FaultServer::pusher((array) ($case->config ?? []) + $server);
    }

    private function perform(object $case, ?Listener $listener): mixed
    {
        $pusher = $this->client($case, $listener);
        $a = $case->arguments;
        $options = (array) ($a->options ?? []);

        return match ($case->call) {
            'new' => null,
            'trigger' => $pusher->trigger($a->channels, $a->event, $a->data, $options),
            'trigger_batch' => $pusher->triggerBatch(self::events($a->events), params: $options),
            'send_to_user' => $pusher->sendToUser($a->user_id, $a->event, $a->data, params: $options),
            'terminate_user_connections' => $pusher->terminateUserConnections($a->user_id, $options),
            'channels_info' => $pusher->getChannels(self::query($a)),
            'channel_info' => $pusher->getChannelInfo($a->channel, self::query($a)),
            'users_info' => $pusher->getPresenceUsers($a->channel, $options),
            'get' => $pusher->get($a->path, (array) ($a->params ?? []), options: $options),
            'post' => $pusher->post($a->path, $a->body ?? null, (array) ($a->params ?? []), $options),
            'delete' => $pusher->delete($a->path, (array) ($a->params ?? []), $options),
            'authenticate' => json_decode($pusher->authorizeChannel($a->channel, $a->socket_id, $a->channel_data ?? null)),
            'authenticate_channels' => json_decode($pusher->authorizeChannels($a->socket_id, $a->channels)),
            'authenticate_user' => json_decode($pusher->authenticateUser($a->socket_id, $a->user_data)),
            'validate_webhook' => $pusher->validateWebhook($a->key ?? null, $a->signature ?? null, $a->body),
            'publish' => $this->publish($pusher, $a),
        };
    }

    /** Converts events to arrays, and leaves their data unchanged. */
    private static function events(array $events): array
    {
        return array_map(static fn (mixed $event): mixed => is_object($event) ? (array) $event : $event, $events);
    }

    private static function query(object $arguments): array
    {
        $params = (array) ($arguments->options ?? []);
        foreach (['filter_by_prefix' => 'prefix_filter', 'info' => 'attributes'] as $name => $argument) {
            if (isset($arguments->$argument)) {
                $params[$name] = $arguments->$argument;
            }
        }

        return $params;
    }

    private function publish(Pusher $pusher, object $arguments): int
    {
        $publisher = $pusher->publisher(['reports' => 'all'] + (array) ($arguments->publisher ?? []));
        $ids = [];
        foreach ($arguments->events as $event) {
            $ids[] = $publisher->publish($event->channels ?? null, $event->event, $event->data, (array) ($event->options ?? []));
        }
        self::assertTrue($publisher->flush(self::FLUSH_MS), 'the events did not end');
        $this->reports = [];
        while (($some = $publisher->poll()) !== []) {
            array_push($this->reports, ...$some);
        }
        usort($this->reports, static fn (object $a, object $b): int => $a->id <=> $b->id);
        sort($ids);
        self::assertSame($ids, array_column($this->reports, 'id'));

        return count($ids);
    }

    private function checkError(object $expected, PusherException $e): void
    {
        $document = $e->getDocument();
        foreach ((array) $expected as $name => $value) {
            // The document has arrays where the file has objects.
            $value = json_decode(json_encode($value), true);
            self::assertSame($value, $document[$name] ?? null, $name);
        }
        // The methods return the document's values.
        $said = [
            'status' => $e->getStatus(),
            'delivery' => $e->getDelivery(),
            'argument' => $e->getArgument(),
            'cause' => $e->getNetworkCause(),
            'attempts' => $e->getAttempts(),
            'http_status' => $e->getHttpStatus(),
        ];
        foreach ($said as $name => $value) {
            self::assertSame($document[$name] ?? null, $value, $name);
        }
        self::assertStringNotContainsString(self::file()->credentials->secret, $e->getMessage() . print_r($document, true));
    }

    private function checkResult(object $case, mixed $result): void
    {
        if (isset($case->ok_keys)) {
            self::assertEqualsCanonicalizing($case->ok_keys, array_keys((array) $result));
        } else {
            // As arrays: PHP has one empty array for the empty list and the empty object.
            $expected = $case->ok ?? null;
            // Methods of the official SDK that return an object always do: a member `scalar` has what is none.
            $expected = is_object($result) && !is_object($expected) ? (object) $expected : $expected;
            self::assertEquals(self::plain($expected), self::plain($result));
        }
        foreach ($case->reports ?? [] as $index => $expected) {
            foreach ((array) $expected as $name => $value) {
                self::assertSame(self::plain($value), self::plain($this->reports[$index]->$name ?? null), $name);
            }
        }
        if (isset($case->reports)) {
            self::assertSameSize($case->reports, $this->reports);
        }
    }

    private static function plain(mixed $value): mixed
    {
        return json_decode(json_encode($value, JSON_THROW_ON_ERROR), true);
    }

    /** @param list<array<string, mixed>> $applied */
    private function checkPublished(array $expected, array $applied): void
    {
        self::assertSameSize($expected, $applied, json_encode($applied));
        foreach ($expected as $index => $event) {
            if (isset($event->encrypted)) {
                self::assertSame($event->channel, $applied[$index]['channel']);
                $box = json_decode($applied[$index]['data']);
                $key = base64_decode($event->encrypted->shared_secret, true);
                [$nonce, $sealed] = [base64_decode($box->nonce, true), base64_decode($box->ciphertext, true)];
                $plain = sodium_crypto_secretbox_open($sealed, $nonce, $key);
                self::assertSame($event->encrypted->data, $plain);
            } else {
                self::assertEquals(self::plain($event), $applied[$index]);
            }
        }
    }
}
