<?php

namespace App;

use LibPusher\NetworkException;
use LibPusher\Pusher;
use LibPusher\PusherException;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;
use Symfony\Component\HttpKernel\Exception\UnauthorizedHttpException;

final class PusherController
{
    public const ROUTES = [
        '/orders' => ['POST', 'createOrder'],
        '/pusher/auth' => ['POST', 'authorizeChannel'],
        '/pusher/user-auth' => ['POST', 'authenticateUser'],
        '/pusher/webhook' => ['POST', 'takeWebhook'],
        '/webhooks' => ['GET', 'showWebhooks'],
        '/up' => ['GET', 'up'],
    ];

    public function __construct(private Pusher $pusher)
    {
    }

    public function createOrder(Request $request): Response
    {
        $order = ['id' => $request->request->get('id')];
        try {
            // The connection that made the order already knows it.
            $this->pusher->trigger('private-orders', 'order-created', $order, ['socket_id' => $request->request->get('socket_id')]);
        } catch (NetworkException $e) {
            // "not_sent": the event can be sent again. "unknown": it may have arrived.
            return new JsonResponse(['delivery' => $e->getDelivery()], 503);
        }

        return new JsonResponse($order);
    }

    public function authorizeChannel(Request $request): Response
    {
        $user = self::user($request);
        [$channel, $socket_id] = [$request->request->get('channel_name'), $request->request->get('socket_id')];

        return JsonResponse::fromJsonString(str_starts_with($channel, 'presence-')
            ? $this->pusher->authorizePresenceChannel($channel, $socket_id, $user, ['name' => $user])
            : $this->pusher->authorizeChannel($channel, $socket_id));
    }

    public function authenticateUser(Request $request): Response
    {
        $user = ['id' => self::user($request)];

        return JsonResponse::fromJsonString($this->pusher->authenticateUser($request->request->get('socket_id'), $user));
    }

    public function takeWebhook(Request $request): Response
    {
        try {
            $webhook = $this->pusher->webhook($request->headers->all(), $request->getContent());
        } catch (PusherException $e) {
            throw new UnauthorizedHttpException('Pusher', 'not authentic', $e);
        }
        foreach ($webhook->get_events() as $event) {
            file_put_contents($_SERVER['STATE'], json_encode($event) . "\n", FILE_APPEND | LOCK_EX);
        }

        return new Response();
    }

    public function showWebhooks(): Response
    {
        $lines = is_file($_SERVER['STATE']) ? file($_SERVER['STATE'], FILE_IGNORE_NEW_LINES) : [];

        return JsonResponse::fromJsonString('[' . implode(',', $lines) . ']');
    }

    public function up(): Response
    {
        return new Response();
    }

    /** Returns the id of the user, whose session this header stands for. */
    private static function user(Request $request): string
    {
        $header = (string) $request->headers->get('Authorization');

        return substr($header, strlen('Bearer ')) ?: throw new AccessDeniedHttpException();
    }
}
