# A program that uses the gem pusher as its README describes. Its environment says where the server is.
require 'pusher'
require 'logger'
require 'openssl'
require 'rack'
require 'stringio'

# Configuration, as in a Rails initializer.
Pusher.app_id = ENV.fetch('APP_ID')
Pusher.key = ENV.fetch('APP_KEY')
Pusher.secret = ENV.fetch('APP_SECRET')
Pusher.cluster = ENV['NO_CLUSTER']
Pusher.host = '127.0.0.1'
Pusher.scheme = 'http'
Pusher.port = ENV.fetch('PORT')
Pusher.timeout = 4
Pusher.connect_timeout = 2
Pusher.logger = Logger.new($stderr)
Pusher.encryption_master_key_base64 = ['k' * 32].pack('m0')

# Events on one channel, on several, and without the connection that caused one.
order = { id: 7, total: '12.50' }
Pusher.trigger('orders', 'created', order)
Pusher.trigger(%w[orders stock], 'created', order, { socket_id: '123.456' })
Pusher.trigger('orders', 'created', order, { socket_id: nil })
Pusher.trigger_batch([{ channel: 'orders', name: 'paid', data: order }, { channel: 'stock', name: 'less', data: '1' }])
Pusher.trigger_batch({ channel: 'orders', name: 'paid', data: order })
Pusher['orders'].trigger('shipped', order)
Pusher['orders'].trigger!('shipped', order, '123.456')
Pusher.trigger('private-encrypted-orders', 'paid', order)

# Several applications have a client each.
client = Pusher::Client.new({
  app_id: ENV.fetch('APP_ID'),
  key: ENV.fetch('APP_KEY'),
  secret: ENV.fetch('APP_SECRET'),
  host: '127.0.0.1',
  port: ENV.fetch('PORT'),
  use_tls: false
})
client.trigger('orders', 'created', order)

# Queries.
raise 'no channels' unless Pusher.channels(filter_by_prefix: 'presence-')[:channels].is_a?(Hash)
raise 'occupied' if Pusher.channel_info('presence-staff', info: 'user_count')[:occupied]
raise 'users' unless Pusher.channel_users('presence-staff')[:users].empty?
raise 'the same' unless Pusher.get('/channels', filter_by_prefix: 'presence-') == Pusher.channels(filter_by_prefix: 'presence-')

# Endpoints for subscriptions and for sign-in.
private_auth = Pusher.authenticate('private-orders', '123.456')
presence_auth = Pusher.authenticate('presence-staff', '123.456', { user_id: 'ann', user_info: { name: 'Ann' } })
user_auth = Pusher.authenticate_user('123.456', { id: 'ann', name: 'Ann' })
raise 'auth' unless [private_auth, presence_auth, user_auth].all? { |answer| answer[:auth].start_with?("#{Pusher.key}:") }

# Calls that do not wait: by a thread, and in EventMachine.
Pusher.trigger_async('orders', 'later', order).pop
Pusher['orders'].trigger_async('later', order).pop
if ENV['EVENTMACHINE']
  require 'eventmachine'
  EM.run do
    Pusher.get_async('/channels').callback { |response| EM.stop if response[:channels] }.errback { |error| raise error }
  end
end

# A webhook, as Rack passes it.
body = format('{"time_ms":%d,"events":[{"name":"channel_occupied","channel":"orders"}]}', Time.now.to_i * 1000)
request = Rack::Request.new(
  'rack.input' => StringIO.new(body), 'CONTENT_TYPE' => 'application/json', 'HTTP_X_PUSHER_KEY' => Pusher.key,
  'HTTP_X_PUSHER_SIGNATURE' => OpenSSL::HMAC.hexdigest('SHA256', ENV.fetch('APP_SECRET'), body)
)
webhook = Pusher.webhook(request)
raise 'not valid' unless webhook.valid?
raise 'no event' unless webhook.events.first['channel'] == webhook.data['events'].first['channel'] && webhook.time.is_a?(Time)
raise 'forged' if Pusher.webhook({ key: Pusher.key, signature: 'f' * 64, body: body }).valid?

# Errors.
begin
  Pusher.trigger('an orders channel', 'created', order)
rescue Pusher::AuthenticationError, Pusher::HTTPError
  raise 'not this one'
rescue Pusher::Error
  puts 'done'
end
