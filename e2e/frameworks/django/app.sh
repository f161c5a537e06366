# Django, served by gunicorn with two workers.
. e2e/frameworks/python.sh

prepare() { python_environment; }

serve() {
  python_module gunicorn --preload --workers 2 --log-level warning --no-control-socket --bind "127.0.0.1:$PORT" --chdir e2e/frameworks/django app:app
}
