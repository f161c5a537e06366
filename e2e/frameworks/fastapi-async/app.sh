# FastAPI on the event loop, served by uvicorn.
. e2e/frameworks/python.sh

prepare() { python_environment; }

serve() {
  python_module uvicorn --host 127.0.0.1 --port "$PORT" --log-level warning --app-dir e2e/frameworks/fastapi-async app:app
}
