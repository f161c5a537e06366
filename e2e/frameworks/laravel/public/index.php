<?php

// What Laravel's skeleton does, with the components that Debian has.

use App\User;
use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Broadcasting\BroadcastServiceProvider;
use Illuminate\Bus\BusServiceProvider;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Events\EventServiceProvider;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Routing\Router;
use Illuminate\Support\Facades\Facade;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;

// Laravel 8 is older than this PHP.
error_reporting(E_ALL & ~E_DEPRECATED);
foreach (['Broadcasting', 'Bus', 'Config', 'Container', 'Events', 'Http', 'Routing'] as $component) {
    require_once "Illuminate/$component/autoload.php";
}
// Composer's autoloader would know the package.
require getenv('PACKAGE') . '/autoload.php';
require __DIR__ . '/../app/OrderCreated.php';
require __DIR__ . '/../app/User.php';

function response_json(mixed $data, int $status = 200): JsonResponse
{
    return new JsonResponse($data, $status);
}

function abort_unless_signed_in(Request $request): void
{
    $request->user() ?? throw new AccessDeniedHttpException();
}

$app = Container::getInstance();
Facade::setFacadeApplication($app);
$app->instance(Illuminate\Contracts\Container\Container::class, $app);
$app->instance('config', new Repository(['broadcasting' => require __DIR__ . '/../config.php']));
$app->instance('request', $request = Request::capture());
$app->instance(Request::class, $request);

// config/app.php: the framework's providers, and the last one for this library.
$providers = [
    EventServiceProvider::class,
    BusServiceProvider::class,
    BroadcastServiceProvider::class,
    LibPusher\Laravel\ServiceProvider::class,
];
foreach ($providers as $provider) {
    (new $provider($app))->register();
}

$app->singleton('router', fn ($app) => new Router($app['events'], $app));
['router' => $router, 'events' => $events] = ['router' => $app['router'], 'events' => $app['events']];
$broadcast = $app->make(BroadcastManager::class);
$app->instance('auth.middleware', fn (Request $request, Closure $next) => User::signedIn($request, $next));
$router->aliasMiddleware('auth', 'auth.middleware');
require __DIR__ . '/../routes.php';
try {
    $router->dispatch($request)->send();
} catch (HttpExceptionInterface $e) {
    http_response_code($e->getStatusCode());
}
