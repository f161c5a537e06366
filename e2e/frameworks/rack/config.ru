# A Rack application that publishes orders, authorizes its users, and takes webhooks.
require 'json'
require 'libpusher'

# Made once, in the parent of the workers: it reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more.
PUSHER = LibPusher::Client.from_env

# The id of the user, whose session this header stands for; nil for nobody.
def current_user(request) = request.get_header('HTTP_AUTHORIZATION')&.delete_prefix('Bearer ')

def json(value, status = 200) = [status, { 'content-type' => 'application/json' }, [JSON.generate(value)]]

def nothing(status) = [status, {}, []]

# Stands for a database.
def store(order) = order

def create_order(request)
  order = { id: request.params['id'] }
  # The connection that made the order already knows it. The event is sent by a thread of its own, while the order is stored.
  event = PUSHER.trigger_async('private-orders', 'order-created', order, { socket_id: request.params['socket_id'] })
  store(order)
  event.value
  json(order)
rescue LibPusher::HTTPError => e
  # "not_sent": the event can be sent again. "unknown": it may have arrived.
  json({ delivery: e.delivery }, 503)
end

def authorize(request)
  user = current_user(request) or return nothing(403)
  channel, socket_id = request.params.values_at('channel_name', 'socket_id')
  member = { user_id: user, user_info: { name: user } } if channel.start_with?('presence-')
  json(PUSHER.authenticate(channel, socket_id, member))
end

def sign_in(request)
  user = current_user(request) or return nothing(403)
  json(PUSHER.authenticate_user(request.params['socket_id'], { id: user }))
end

def webhook(request)
  webhook = PUSHER.webhook(request)
  return nothing(401) unless webhook.valid?

  File.open(ENV['STATE'], 'a') { |file| webhook.events.each { |event| file.puts(JSON.generate(event)) } }
  nothing(200)
end

def webhooks
  lines = File.exist?(ENV['STATE']) ? File.readlines(ENV['STATE']) : []
  json(lines.map { |line| JSON.parse(line) })
end

run(lambda do |env|
  request = Rack::Request.new(env)
  case [request.request_method, request.path_info]
  when %w[POST /orders] then create_order(request)
  when %w[POST /pusher/auth] then authorize(request)
  when %w[POST /pusher/user-auth] then sign_in(request)
  when %w[POST /pusher/webhook] then webhook(request)
  when %w[GET /webhooks] then webhooks
  when %w[GET /up] then nothing(200)
  else nothing(404)
  end
end)
