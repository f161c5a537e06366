<?php

use App\Kernel;
use Symfony\Component\HttpFoundation\Request;

require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';
// Composer's autoloader would know the package and these classes.
require getenv('PACKAGE') . '/autoload.php';
require __DIR__ . '/../src/Kernel.php';
require __DIR__ . '/../src/PusherController.php';

$kernel = new Kernel('prod', false);
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
